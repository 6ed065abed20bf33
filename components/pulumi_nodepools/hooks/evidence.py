"""Pure: what each instance of a new version still lacks before it may take workloads."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi_nodepools import kernels
from pulumi_nodepools.aws.groups import GroupView
from pulumi_nodepools.names import REFUSED_TAG, VALIDATED_LABEL, validated_value

_STARTUP_TAINTS = re.compile(
    r"node\.kubernetes\.io/(not-ready|unreachable|network-unavailable|out-of-service)"
    r"|node\.cloudprovider\.kubernetes\.io/.+"
    r"|startup-taint\.cluster-autoscaler\.kubernetes\.io/.+"
    r"|.*agent-not-ready|.*/node-not-ready"
)
"""Taints that say "not set up yet". Those that the user declares for the pool stay on its nodes and are no sign."""


DaemonSet = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True)
class Wanted:
    """What the nodes of one version must show."""

    pool: str
    version: str
    minimum_kernel: str = ""
    kernel_arguments: tuple[str, ...] = ()
    adopted: bool = False
    """Its nodes were not made here: nothing has validated them."""


@dataclass(frozen=True)
class Verdict:
    """One look at the version: how many nodes it has and wants, and what each unready one lacks."""

    total: int
    ready: int
    lacks: Mapping[str, str]

    @property
    def good(self) -> bool:
        return not self.lacks and self.ready >= self.total


def judge(
    groups: Iterable[GroupView], nodes: Sequence[Mapping[str, Any]], pods: Sequence[Any], want: Wanted
) -> Verdict:
    """Every instance must be in service and its node ready, proved and set up; every wanted instance must exist."""
    by_instance = {instance_of(node): node for node in nodes}
    lacks: dict[str, str] = {}
    total = ready = 0
    for group in groups:
        total += group.desired
        for instance in group.instances:
            if instance.leaving:
                continue
            node = by_instance.get(instance.id)
            missing = _instance_lacks(instance.lifecycle) or _node_lacks(node, pods, want)
            if missing:
                name = f"{instance.id} ({node['metadata']['name']})" if node else instance.id
                lacks[name] = missing
            else:
                ready += 1
        started = sum(not entry.leaving for entry in group.instances)
        if started < group.desired:
            lacks[group.name] = f"{group.desired - started} of {group.desired} instances have not been launched"
    return Verdict(total, ready, lacks)


def top_up(groups: Sequence[GroupView], wanted: int, zones: Mapping[str, int]) -> dict[str, int]:
    """The desired capacities that bring the groups to `wanted` nodes, as evenly as their limits allow.

    A group in one zone gets as many as `zones` says, since volumes there cannot follow their pods elsewhere.
    Only groups that must grow are named; the sum stays below `wanted` if the limits do not allow it.
    """
    sizes = {
        group.name: max(group.desired, min(zones.get(group.zones[0], 0) if len(group.zones) == 1 else 0, group.max))
        for group in groups
    }
    while sum(sizes.values()) < wanted:
        growing = [group for group in groups if sizes[group.name] < group.max]
        if not growing:
            break
        sizes[min(growing, key=lambda group: (sizes[group.name], group.name)).name] += 1
    return {group.name: sizes[group.name] for group in groups if sizes[group.name] > group.desired}


def instance_of(node: Mapping[str, Any]) -> str:
    """The EC2 instance id in the node's providerID (`aws:///<zone>/<instance>`); empty if it has none."""
    provider: str = node.get("spec", {}).get("providerID") or ""
    return provider.rsplit("/", 1)[-1] if provider.startswith("aws:") else ""


def is_ready(thing: Mapping[str, Any]) -> bool:
    """Whether a node's or pod's Ready condition is True."""
    conditions = thing.get("status", {}).get("conditions") or ()
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def daemon_set_of(pod: Mapping[str, Any]) -> DaemonSet | None:
    """The DaemonSet that a pod belongs to."""
    owners = pod["metadata"].get("ownerReferences") or ()
    name = next((owner["name"] for owner in owners if owner["kind"] == "DaemonSet"), None)
    return (pod["metadata"]["namespace"], name) if name else None


def _instance_lacks(lifecycle: str) -> str:
    if lifecycle == "InService":
        return ""
    if lifecycle.startswith("Pending"):
        return f"has not completed its launch hook (it is {lifecycle})"
    return f"is {lifecycle}, not InService"


def _node_lacks(node: Mapping[str, Any] | None, pods: Sequence[Any], want: Wanted) -> str:
    if node is None:
        return "has no Node: it has not joined the cluster"
    missing = [*_proof_lacks(node, want), *_condition_lacks(node)]
    name = node["metadata"]["name"]
    waiting = [pod for pod in pods if daemon_set_of(pod) and pod["spec"].get("nodeName") == name and not is_ready(pod)]
    missing += [f"DaemonSet pod {pod['metadata']['namespace']}/{pod['metadata']['name']} not ready" for pod in waiting]
    return "; ".join(missing)


def _proof_lacks(node: Mapping[str, Any], want: Wanted) -> Iterable[str]:
    labels = node["metadata"].get("labels") or {}
    if not want.adopted and labels.get(VALIDATED_LABEL) != validated_value(want.pool, want.version):
        arguments = f" of {' '.join(want.kernel_arguments)}" if want.kernel_arguments else ""
        yield f"no proof{arguments}: label {VALIDATED_LABEL} is {labels.get(VALIDATED_LABEL) or 'missing'}"
    kernel = node.get("status", {}).get("nodeInfo", {}).get("kernelVersion") or "unknown"
    if want.minimum_kernel and not kernels.at_least(kernel, want.minimum_kernel):
        yield f"kernel {kernel} is below {want.minimum_kernel}"


def _condition_lacks(node: Mapping[str, Any]) -> Iterable[str]:
    if not is_ready(node):
        yield "Node not Ready"
    if node["spec"].get("unschedulable"):
        yield "Node cordoned"
    refused = (node["metadata"].get("annotations") or {}).get(REFUSED_TAG)
    if refused:
        yield f"refused: {refused}"
    for taint in node["spec"].get("taints") or ():
        if _STARTUP_TAINTS.fullmatch(taint["key"]):
            yield f"startup taint {taint['key']}"
