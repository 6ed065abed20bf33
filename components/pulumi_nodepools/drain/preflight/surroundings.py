"""What else goes on in the cluster: nodes and pods in trouble already, and others who move pods or nodes. Pure."""

from collections.abc import Iterator, Sequence

from pulumi_nodepools.drain.model import PodView
from pulumi_nodepools.drain.preflight.finding import Finding
from pulumi_nodepools.drain.world import World

_NAMED = 5
_ACTORS = {
    "cluster-autoscaler": "its groups are frozen while they are drained; it may still scale others",
    "karpenter": "nodes of its own NodePools are replaced by Karpenter itself: drain only others",
    "kured": "it reboots and drains nodes on its own; hold it (its lock, or scale it down) until the drain is over",
    "descheduler": "it evicts pods too, under the same budgets; pause it until the drain is over",
    "aws-node-termination-handler": "it drains nodes whose instances are interrupted, at the same time",
}
_CALLED = {name: name for name in _ACTORS} | {"aws-cluster-autoscaler": "cluster-autoscaler"}
"""The second is the name that its chart gives it on AWS."""
_NAME_LABELS = ("app.kubernetes.io/name", "k8s-app", "app", "name")
KARPENTER_NODES = "karpenter.sh/nodepool"


def surrounding_findings(world: World, names: Sequence[str]) -> Iterator[Finding]:
    """`names` are the nodes that are to be drained."""
    yield from _nodes(world, names)
    yield from _pending(world)
    yield from _actors(world)
    owned = [name for name in names if KARPENTER_NODES in world.nodes[name].labels]
    if owned:
        message = f"{len(owned)} of the nodes here are Karpenter's own: {_some(owned)}; it may replace or delete them"
        yield Finding("warning", "other-actor", "actor karpenter", message, "let Karpenter replace its own nodes")


def _nodes(world: World, names: Sequence[str]) -> Iterator[Finding]:
    for name in names:
        node = world.nodes[name]
        if not node.ready:
            message = f"it is not ready (Ready={node.ready_status}): its pods may not end when they are evicted"
            fix = "repair it, or terminate its instance if it is known to be dead"
            yield Finding("warning", "node-not-ready", f"node {name}", message, fix, node=name)
    others = sorted(node.name for node in world.nodes.values() if not node.ready and node.name not in set(names))
    if others:
        message = f"{len(others)} nodes that stay are not ready: {_some(others)}"
        yield Finding(
            "info", "node-not-ready", "nodes elsewhere", message, "see that the rest has room", numbers=_n(others)
        )


def _pending(world: World) -> Iterator[Finding]:
    waiting = sorted((pod for pod in world.pods.values() if _waits(pod)), key=lambda pod: pod.path)
    if waiting:
        first = waiting[0]
        message = f"{len(waiting)} pods wait for a node already: {_some([pod.path for pod in waiting])}"
        yield Finding(
            "warning",
            "pending-pods",
            "pods elsewhere",
            f"{message}; the first one: {first.trouble}",
            "give them room first: what is evicted now comes after them",
            numbers=_n(waiting),
        )


def _waits(pod: PodView) -> bool:
    return pod.phase == "Pending" and not pod.node and bool(pod.trouble) and not pod.terminating


def _actors(world: World) -> Iterator[Finding]:
    present = dict.fromkeys(name for pod in world.pods.values() if not pod.finished and (name := _actor(pod)))
    for name in sorted(present):
        yield Finding("info", "other-actor", f"actor {name}", "it runs in this cluster", _ACTORS[name])


def _actor(pod: PodView) -> str:
    called = {pod.labels.get(key, "") for key in _NAME_LABELS}
    return next((actor for word, actor in _CALLED.items() if word in called), "")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _n(things: Sequence[object]) -> dict[str, int | float | str]:
    return {"number": len(things)}
