"""Whether pods would find a place: first fit over CPU, memory, pod count, selectors, affinity and taints. Pure.

It places for all pods at once and never moves one again, so it may refuse what a cleverer packing would fit; topology
spread, pod affinity and volumes are not looked at, so it may also pass what the scheduler then leaves pending.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pulumi_nodepools.drain.classify import meets, tolerates
from pulumi_nodepools.drain.model import NodeView, PodView, Resources

_HARD = ("NoSchedule", "NoExecute")


@dataclass(frozen=True)
class Unplaced:
    """A pod without a place, and the first thing that kept it off most nodes."""

    pod: str
    reason: str

    def __str__(self) -> str:
        return f"{self.pod} ({self.reason})"


def fits(pods: Sequence[PodView], nodes: Sequence[NodeView]) -> list[Unplaced]:
    """The pods that fit on none of `nodes`, whose allocatable is what is still free there. Large pods go first."""
    free = {node.name: node.allocatable for node in nodes}
    unplaced = []
    for pod in sorted(pods, key=lambda pod: (-pod.requests.cpu, -pod.requests.memory, pod.path)):
        allowed = [node for node in nodes if _allowed(pod, node)]
        place = next((node.name for node in allowed if _holds(free[node.name], pod.requests)), None)
        if place is None:
            unplaced.append(Unplaced(pod.path, _reason(pod, allowed)))
        else:
            free[place] = _minus(free[place], pod.requests)
    return unplaced


def _allowed(pod: PodView, node: NodeView) -> bool:
    selected = all(node.labels.get(key) == value for key, value in pod.node_selector.items())
    wanted = not pod.affinity or any(all(meets(node.labels, part) for part in term) for term in pod.affinity)
    hard = (taint for taint in node.taints if taint.effect in _HARD)
    return selected and wanted and all(tolerates(pod.tolerations, taint) for taint in hard)


def _holds(free: Resources, asked: Resources) -> bool:
    return free.cpu >= asked.cpu and free.memory >= asked.memory and free.pods >= 1


def _minus(free: Resources, asked: Resources) -> Resources:
    return Resources(cpu=free.cpu - asked.cpu, memory=free.memory - asked.memory, pods=free.pods - 1)


def _reason(pod: PodView, allowed: Sequence[NodeView]) -> str:
    if not allowed:
        return "its node selector, affinity or tolerations allow none of them"
    asked = f"{pod.requests.cpu}m CPU and {pod.requests.memory >> 20} MiB"
    return f"needs {asked}; none of {len(allowed)} nodes that it may run on has so much left"
