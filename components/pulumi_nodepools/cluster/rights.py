"""What a drain and the gate must be allowed to do in a cluster, asked before anything is changed.

The rules here are the one list: drainer_access grants them, docs/rbac repeats them, and the server's own authorizer is
asked about each of them.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pulumi_nodepools.cluster.asking import patiently
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import AccessDeniedError
from pulumi_nodepools.names import RECORD_NAMESPACE

_LOOK = ("list", "watch")


@dataclass(frozen=True)
class Rule:
    """One rule of an RBAC role. What is not `needed` is used where it is granted, and done without where it is not."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    needed: bool = True

    def to_json(self) -> dict[str, list[str]]:
        """The rule as a role has it."""
        return {"apiGroups": [self.group], "resources": list(self.resources), "verbs": list(self.verbs)}


CLUSTER_RULES = (
    Rule("", ("namespaces",), ("get",)),
    Rule("", ("nodes",), ("get", *_LOOK, "patch")),
    Rule("", ("pods", "persistentvolumes", "persistentvolumeclaims", "replicationcontrollers"), _LOOK),
    Rule("", ("pods/eviction",), ("create",)),
    Rule("apps", ("daemonsets", "deployments", "replicasets", "statefulsets"), _LOOK),
    Rule("policy", ("poddisruptionbudgets",), _LOOK),
    Rule("storage.k8s.io", ("volumeattachments",), _LOOK),
    Rule("storage.k8s.io", ("csinodes",), ("list",), needed=False),
    Rule(
        "admissionregistration.k8s.io",
        ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
        ("list",),
        needed=False,
    ),
    Rule("", ("services",), ("get",), needed=False),
    Rule("events.k8s.io", ("events",), ("create",), needed=False),
)
FORCE_RULE = Rule("", ("pods",), ("delete",))
"""Only for `onTimeout: force`."""
SURGE_RULE = Rule("apps", ("deployments",), ("patch",))
"""Only for `singleReplicas: surge`."""
RECORD_RULES = (
    Rule("coordination.k8s.io", ("leases",), ("get", "create", "update")),
    Rule("", ("configmaps",), ("get", "create", "update")),
    Rule("", ("configmaps",), ("list",), needed=False),
)
"""Only in the namespace of the pool records. The list is what `nodepools status` shows."""


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


def rights_of(rules: Iterable[Rule], namespace: str = "") -> tuple[Right, ...]:
    """Every single right that these rules grant and that is needed."""
    return tuple(
        Right(verb, resource.partition("/")[0], rule.group, resource.partition("/")[2], namespace)
        for rule in rules
        if rule.needed
        for resource in rule.resources
        for verb in rule.verbs
    )


RIGHTS = (*rights_of(CLUSTER_RULES), *rights_of(RECORD_RULES, RECORD_NAMESPACE))


def asked_for(settings: DrainSettings) -> dict[str, Right]:
    """The rights that only some settings need, by the setting."""
    known = {
        "onTimeout: force": FORCE_RULE if settings.on_timeout == "force" else None,
        "singleReplicas: surge": SURGE_RULE if settings.single_replicas == "surge" else None,
    }
    return {setting: right for setting, rule in known.items() if rule for right in rights_of([rule])}


def require_asked_for(client: Client, settings: DrainSettings) -> None:
    """AccessDeniedError if one of those is missing."""
    for setting, right in asked_for(settings).items():
        if not _may(client, right):
            raise AccessDeniedError(
                f"`{setting}` needs the right `{right}`, and these cluster credentials lack it; nothing was changed. "
                "Grant it (the ClusterRole nodepools-drainer has it when a pool of the stack says so; docs/rbac has a "
                "file for each), or leave that setting at its default"
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
        f"{', '.join(absent)}. {GRANT} and run again"
    )


GRANT = "Bind the ClusterRole and the Role nodepools-drainer to them, or apply docs/rbac/drain.yaml,"


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
