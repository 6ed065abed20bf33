"""DrainHook: acts only on delete, so that nothing it stands before is destroyed undrained.

Give it a dependency on exactly the groups it drains. Create and update only remember; draining.py drains.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import pulumi
from pulumi.dynamic import CreateResult, Resource

from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import ConfigError, NodePoolsError
from pulumi_nodepools.hooks.boundary import boundary
from pulumi_nodepools.hooks.progress import Engine
from pulumi_nodepools.hooks.provider import EchoProvider, hidden, require_known
from pulumi_nodepools.hooks.skip import skipped
from pulumi_nodepools.names import UNMANAGED

TOKEN = "pulumi-python:dynamic/nodepools:DrainHook"  # noqa: S105 - a type token


class DrainProvider(EchoProvider):
    """Remembers whom to drain, and drains them when it is deleted."""

    identity: ClassVar[tuple[str, ...]] = ("pool", "version", "groups", "selector", "clusterUid", "account")
    settings: ClassVar[tuple[str, ...]] = ("schemaVersion", "cluster", "region", "access", "drain")

    @boundary
    def create(self, props: dict[str, Any]) -> CreateResult:
        require_known(props)
        return super().create(props)

    @boundary
    def delete(self, _id: str, props: dict[str, Any]) -> None:
        if not skipped(props):
            # Here and not above: a program only registers hooks and must not pay for the engine room.
            from pulumi_nodepools.hooks.draining import drain_version  # noqa: PLC0415

            drain_version(props, Engine.of_this_process())


class DrainHook(Resource, module="nodepools", name="DrainHook"):
    """Props: schemaVersion, cluster, clusterUid, account, region, access, pool, version, groups (`[{name, arn}]`),
    selector (labels, in place of groups), drain (settings), urn. `for_nodes` fills them for nodes of any origin."""

    def __init__(self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(DrainProvider(), name, dict(props), hidden(opts))

    @classmethod
    def for_nodes(
        cls,
        name: str,
        selector: Mapping[str, pulumi.Input[str]],
        access: Access,
        *,
        settings: DrainSettings | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> "DrainHook":
        """A hook in front of all nodes with these labels, whatever makes them; their group is neither frozen nor read.

        Give it `depends_on` exactly what makes the nodes, such as an `aws.eks.NodeGroup`, and take a label's value from
        its outputs: another selector replaces the hook, and the old one drains what it selected. The cluster is looked
        up now: RunError if it cannot be reached, or if `selector` is empty.
        """
        from pulumi_nodepools.cluster.client import Client  # noqa: PLC0415 - a plugin only loads the provider

        try:
            if name == UNMANAGED:
                raise ConfigError(f"a DrainHook named {name} would share the record of drains by hand; rename it")
            if not selector:
                raise ConfigError(f"DrainHook {name}: an empty selector would mean every node of the cluster")
            uid = Client.connect(access).cluster_uid
        except NodePoolsError as error:
            raise pulumi.RunError(str(error)) from None
        alone = opts is None or opts.parent is None
        where = f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{TOKEN}::{name}"
        props = {
            "schemaVersion": 1,
            "cluster": access.cluster_name or "",
            "clusterUid": uid,
            "access": access.to_props(),
            "pool": name,
            "version": "nodes",
            "selector": dict(selector),
            "groups": [],
            "drain": (settings or DrainSettings()).to_props(),
            "urn": where if alone else "",
        }
        return cls(name, props, opts)
