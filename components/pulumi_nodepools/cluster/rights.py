"""What a drain and the gate must be allowed to do in a cluster, asked before anything is changed.

The server's own authorizer answers; the roles that grant all of it are drainer_access's.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pulumi_nodepools.cluster.asking import patiently
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import AccessDeniedError
from pulumi_nodepools.names import RECORD_NAMESPACE


@dataclass(frozen=True)
class Right:
    """One thing that the drain and the gate must be allowed to do."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        name = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        kind = f"{name}.{self.group}" if self.group else name
        return f"{self.verb} {kind} in {self.namespace}" if self.namespace else f"{self.verb} {kind}"


def _rights() -> tuple[Right, ...]:
    read = [
        Right(verb, resource, group)
        for group, resource in (
            ("", "nodes"),
            ("", "pods"),
            ("policy", "poddisruptionbudgets"),
            ("apps", "replicasets"),
            ("apps", "statefulsets"),
            ("apps", "daemonsets"),
            ("apps", "deployments"),
            ("", "replicationcontrollers"),
            ("", "persistentvolumeclaims"),
            ("", "persistentvolumes"),
            ("storage.k8s.io", "volumeattachments"),
        )
        for verb in ("list", "watch")
    ]
    own = [
        Right(verb, resource, group, namespace=RECORD_NAMESPACE)
        for group, resource in (("", "configmaps"), ("coordination.k8s.io", "leases"))
        for verb in ("get", "create", "update")
    ]
    return (*read, *own, Right("patch", "nodes"), Right("create", "pods", subresource="eviction"))


RIGHTS = _rights()


FORCE = Right("delete", "pods")
"""Only for `onTimeout: force`."""
SURGE = Right("patch", "deployments", "apps")
"""Only for `singleReplicas: surge`."""


def asked_for(settings: DrainSettings) -> dict[str, Right]:
    """The rights that only some settings need, by the setting."""
    known = {
        "onTimeout: force": FORCE if settings.on_timeout == "force" else None,
        "singleReplicas: surge": SURGE if settings.single_replicas == "surge" else None,
    }
    return {setting: right for setting, right in known.items() if right}


def require_asked_for(client: Client, settings: DrainSettings) -> None:
    """AccessDeniedError if one of those is missing."""
    for setting, right in asked_for(settings).items():
        if not _may(client, right):
            raise AccessDeniedError(
                f"`{setting}` needs the right `{right}`, and these cluster credentials lack it; nothing was changed. "
                "Grant it (the ClusterRole nodepools-drainer has it when a pool of the stack says so), or leave that "
                "setting at its default"
            )


def missing(client: Client, settings: DrainSettings | None = None) -> list[Right]:
    """Those that these credentials lack, for a drain with these settings."""
    wanted = (*RIGHTS, *asked_for(settings).values()) if settings else RIGHTS
    with ThreadPoolExecutor(max_workers=6) as pool:
        allowed = list(pool.map(lambda right: _may(client, right), wanted))
    return [right for right, may in zip(wanted, allowed, strict=True) if not may]


def lacking(client: Client) -> str:
    """A message naming every right that these credentials lack; "" when they have all."""
    absent = [str(right) for right in missing(client)]
    if not absent:
        return ""
    return (
        f"the cluster credentials lack {len(absent)} of {len(RIGHTS)} rights that a drain needs: "
        f"{', '.join(absent)}. Bind the ClusterRole nodepools-drainer to them and run again"
    )


def require(client: Client) -> None:
    """AccessDeniedError with that message."""
    if told := lacking(client):
        raise AccessDeniedError(told)


def _may(client: Client, right: Right) -> bool:
    return patiently(
        lambda: client.can_i(
            right.verb, right.resource, group=right.group, subresource=right.subresource, namespace=right.namespace
        )
    )
