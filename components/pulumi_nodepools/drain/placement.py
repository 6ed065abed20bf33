"""Whether pods would find a place on given nodes: first fit, largest first, as the scheduler filters. Pure.

It looks at requests, pod count, node selector, required node affinity and taints. Zones of volumes, affinity between
pods and host ports are not looked at: a pod that fits here may still have to wait.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pulumi_nodepools.drain.classify import meets, tolerates
from pulumi_nodepools.drain.model import NodeView, PodView, Requirement, Taint, Toleration

_HARD = ("NoSchedule", "NoExecute")

_Rules = tuple[tuple[tuple[str, str], ...], tuple[tuple[Requirement, ...], ...], tuple[Toleration, ...]]


@dataclass(frozen=True)
class Unplaced:
    """A pod that fits nowhere, and why."""

    pod: PodView
    reason: str

    def __str__(self) -> str:
        return f"{self.pod.path} ({self.reason})"


@dataclass(slots=True)
class _Room:
    node: NodeView
    cpu: int
    memory: int
    pods: int

    def takes(self, pod: PodView) -> bool:
        return self.pods >= 1 and self.cpu >= pod.requests.cpu and self.memory >= pod.requests.memory

    def put(self, pod: PodView) -> None:
        self.cpu -= pod.requests.cpu
        self.memory -= pod.requests.memory
        self.pods -= 1


def fits(pods: Sequence[PodView], nodes: Sequence[NodeView]) -> list[Unplaced]:
    """Place all pods on the nodes, whose `allocatable` is what is free on them; returns those left over.

    Cost: nodes times distinct shapes of pods, plus pods; never pods times nodes.
    """
    rooms = [_Room(node, node.allocatable.cpu, node.allocatable.memory, node.allocatable.pods) for node in nodes]
    eligible: dict[_Rules, list[_Room]] = {}
    shapes: dict[tuple[_Rules, int, int], list[PodView]] = defaultdict(list)
    for pod in pods:
        rules = _rules(pod)
        if rules not in eligible:
            eligible[rules] = [room for room in rooms if _admits(room.node, rules)]
        shapes[(rules, pod.requests.cpu, pod.requests.memory)].append(pod)
    unplaced: list[Unplaced] = []
    # Largest first, and within a size the pickiest first: who has a choice can step aside.
    for shape in sorted(shapes, key=lambda shape: (-shape[1], -shape[2], len(eligible[shape[0]]))):
        unplaced.extend(_place(shapes[shape], eligible[shape[0]], len(nodes)))
    return unplaced


def _place(group: Sequence[PodView], rooms: Sequence[_Room], total: int) -> list[Unplaced]:
    """Place pods of one shape: a node that refuses one of them refuses all that follow."""
    index = 0
    for done, pod in enumerate(group):
        while index < len(rooms) and not rooms[index].takes(pod):
            index += 1
        if index == len(rooms):
            return [Unplaced(left, _why(left, rooms, total)) for left in group[done:]]
        rooms[index].put(pod)
    return []


def _why(pod: PodView, rooms: Sequence[_Room], total: int) -> str:
    if not rooms:
        return f"its node selector, affinity or tolerations admit none of {total} nodes"
    need = pod.requests
    wanted = f"{need.cpu}m CPU and {need.memory // 2**20} MiB"
    if all(room.pods < 1 for room in rooms):
        return f"all {len(rooms)} nodes that admit it have their number of pods"
    return f"needs {wanted}, not free on any of the {len(rooms)} nodes that admit it"


def _rules(pod: PodView) -> _Rules:
    return tuple(sorted(pod.node_selector.items())), pod.affinity, pod.tolerations


def _admits(node: NodeView, rules: _Rules) -> bool:
    selector, affinity, tolerations = rules
    if any(node.labels.get(key) != value for key, value in selector):
        return False
    if affinity and not any(term and all(meets(node.labels, need) for need in term) for term in affinity):
        return False
    return all(tolerates(tolerations, taint) for taint in _hard(node.taints))


def _hard(taints: Sequence[Taint]) -> list[Taint]:
    return [taint for taint in taints if taint.effect in _HARD]
