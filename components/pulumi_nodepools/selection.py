"""Which nodes an operator means: a pool's version, a label selector, or names."""

from dataclasses import dataclass

from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.record import all_records
from pulumi_nodepools.drain.model import NodeView
from pulumi_nodepools.errors import ApiError, ConfigError
from pulumi_nodepools.hooks.members import Membership
from pulumi_nodepools.names import POOL_LABEL, UNMANAGED, VERSION_LABEL


@dataclass(frozen=True)
class Selection:
    """What was asked for."""

    nodes: tuple[str, ...] = ()
    pool: str = ""
    version: str = ""
    selector: str = ""


@dataclass(frozen=True)
class Chosen:
    """What that means in this cluster. Nodes of a version that join later are meant too; names are those found now."""

    names: frozenset[str]
    pools: tuple[str, ...]
    owner: str
    pool: str = ""
    version: str = ""

    def matches(self, node: NodeView) -> bool:
        """Whether the node is meant."""
        return Membership(self.pool, self.version).includes(node) if self.pool else node.name in self.names


def select(client: Client, selection: Selection) -> Chosen:
    """Look the nodes up; ConfigError if a name or the whole selection does not exist."""
    if selection.pool:
        selector = f"{POOL_LABEL}={selection.pool},{VERSION_LABEL}={selection.version}"
        found = _listed(client, selector, f"pool {selection.pool} version {selection.version}")
        owner = f"{selection.pool}/{selection.version}"
        return Chosen(frozenset(found), (selection.pool,), owner, selection.pool, selection.version)
    found = _named(client, selection.nodes) if selection.nodes else _selected(client, selection.selector)
    pools = sorted({pool or UNMANAGED for pool in found.values()})
    return Chosen(frozenset(found), tuple(pools), "manual/drain")


def pools_of(client: Client, selection: Selection) -> tuple[str, ...]:
    """The pools whose drains move these nodes: one by its name, or those of the nodes; ConfigError if there is none."""
    if not selection.pool:
        return select(client, selection).pools
    known = client.get("/api/v1/nodes", labelSelector=f"{POOL_LABEL}={selection.pool}", limit=1)["items"]
    if not known and selection.pool not in {record.pool for record in all_records(client)}:
        raise ConfigError(
            f"pool {selection.pool!r} has neither nodes nor a record here; `nodepools status` lists pools"
        )
    return (selection.pool,)


def _selected(client: Client, selector: str) -> dict[str, str]:
    try:
        return _listed(client, selector, f"selector {selector!r}")
    except ApiError as error:
        if error.status == 400:
            raise ConfigError(f"--selector {selector!r} is not a label selector; write it like key=value") from error
        raise


def _listed(client: Client, selector: str, what: str) -> dict[str, str]:
    """Nodes by name with the pool of each."""
    items = client.get("/api/v1/nodes", labelSelector=selector)["items"]
    if not items:
        raise ConfigError(f"no node matches {what}; `nodepools status` lists pools and versions")
    return {item["metadata"]["name"]: _pool(item["metadata"]) for item in items}


def _named(client: Client, names: tuple[str, ...]) -> dict[str, str]:
    pools: dict[str, str] = {}
    for name in names:
        try:
            pools[name] = _pool(client.get(f"/api/v1/nodes/{name}")["metadata"])
        except ApiError as error:
            if error.status == 404:
                raise ConfigError(f"node {name!r} does not exist in this cluster; nothing was changed") from error
            raise
    return pools


def _pool(metadata: dict[str, dict[str, str]]) -> str:
    return (metadata.get("labels") or {}).get(POOL_LABEL, "")
