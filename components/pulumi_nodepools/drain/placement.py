"""Whether pods would find a place on given nodes: first fit, largest first, as the scheduler filters. Pure.

It looks at requests, pod count, node selector, required node affinity, taints, host ports, and where bound volumes can
be used. Affinity between pods and spreading are not looked at: a pod that fits here may still have to wait.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pulumi_nodepools.drain.classify import meets, tolerates
from pulumi_nodepools.drain.model import NodeView, PodView, Requirement, Taint, Toleration, VolumeView
from pulumi_nodepools.drain.storage import Storage

_HARD = ("NoSchedule", "NoExecute")

_Terms = tuple[tuple[Requirement, ...], ...]


@dataclass(frozen=True)
class _Rules:
    """What makes nodes equal or different for a pod, however large it is."""

    selector: tuple[tuple[str, str], ...]
    affinity: _Terms
    tolerations: tuple[Toleration, ...]
    volumes: tuple[_Terms, ...]
    ports: tuple[str, ...]


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
    ports: set[str] = field(default_factory=set)

    def takes(self, pod: PodView) -> bool:
        if not self.ports.isdisjoint(pod.host_ports):
            return False
        return self.pods >= 1 and self.cpu >= pod.requests.cpu and self.memory >= pod.requests.memory

    def put(self, pod: PodView) -> None:
        self.cpu -= pod.requests.cpu
        self.memory -= pod.requests.memory
        self.pods -= 1
        self.ports.update(pod.host_ports)


def fits(
    pods: Sequence[PodView],
    nodes: Sequence[NodeView],
    storage: Storage | None = None,
    ports: Mapping[str, Iterable[str]] | None = None,
) -> list[Unplaced]:
    """Place all pods on the nodes, whose `allocatable` is what is free on them; returns those left over.

    `ports` are the host ports taken on each node. Cost: nodes times distinct shapes of pods, plus pods; never pods
    times nodes.
    """
    rooms = [_room(node, (ports or {}).get(node.name, ())) for node in nodes]
    eligible: dict[_Rules, list[_Room]] = {}
    shapes: dict[tuple[_Rules, int, int], list[PodView]] = defaultdict(list)
    bound = {pod.uid: storage.volumes_of(pod) for pod in pods if pod.claims} if storage else {}
    for pod in pods:
        rules = _rules(pod, bound.get(pod.uid, ()))
        if rules not in eligible:
            eligible[rules] = [room for room in rooms if _admits(room.node, rules)]
        shapes[(rules, pod.requests.cpu, pod.requests.memory)].append(pod)
    unplaced: list[Unplaced] = []
    # Those that their volumes tie to a zone first, then the largest, and within a size the pickiest: who has a choice
    # can step aside.
    order = sorted(shapes, key=lambda shape: (not shape[0].volumes, -shape[1], -shape[2], len(eligible[shape[0]])))
    for shape in order:
        rooms = eligible[shape[0]]
        left = _place(shapes[shape], rooms)
        unplaced.extend(Unplaced(pod, _why(pod, rooms, nodes, bound.get(pod.uid, ()))) for pod in left)
    return unplaced


def admits(node: NodeView, pod: PodView, volumes: Sequence[VolumeView] = ()) -> bool:
    """Whether its selector, affinity and tolerations, and these volumes, let a pod onto the node."""
    return _admits(node, _rules(pod, volumes))


def taken_ports(pods: Iterable[PodView]) -> dict[str, set[str]]:
    """Host ports in use on each node."""
    taken: dict[str, set[str]] = defaultdict(set)
    for pod in pods:
        if pod.host_ports and not pod.finished:
            taken[pod.node].update(pod.host_ports)
    return taken


def _room(node: NodeView, ports: Iterable[str]) -> _Room:
    return _Room(node, node.allocatable.cpu, node.allocatable.memory, node.allocatable.pods, set(ports))


def _place(group: Sequence[PodView], rooms: Sequence[_Room]) -> Sequence[PodView]:
    """Place pods of one shape, returns those left over: a node that refuses one of them refuses all that follow."""
    index = 0
    for done, pod in enumerate(group):
        while index < len(rooms) and not rooms[index].takes(pod):
            index += 1
        if index == len(rooms):
            return group[done:]
        rooms[index].put(pod)
    return ()


def _why(pod: PodView, rooms: Sequence[_Room], nodes: Sequence[NodeView], volumes: Sequence[VolumeView]) -> str:
    tied = "; ".join(f"volume {volume.name} is in {', '.join(volume.places)}" for volume in volumes if volume.affinity)
    if not rooms:
        without = [node for node in nodes if _admits(node, _rules(pod, ()))]
        if tied and without:
            return f"{tied}, where none of the {len(without)} nodes that would admit it is"
        return f"its node selector, affinity or tolerations admit none of {len(nodes)} nodes"
    where = f" ({tied})" if tied else ""
    need = pod.requests
    if all(room.pods < 1 for room in rooms):
        return f"all {len(rooms)} nodes that admit it have their number of pods{where}"
    if pod.host_ports and all(not room.ports.isdisjoint(pod.host_ports) for room in rooms):
        return f"its host ports {', '.join(pod.host_ports)} are taken on all {len(rooms)} nodes that admit it{where}"
    wanted = f"{need.cpu}m CPU and {need.memory // 2**20} MiB"
    return f"needs {wanted}, not free on any of the {len(rooms)} nodes that admit it{where}"


def _rules(pod: PodView, volumes: Sequence[VolumeView]) -> _Rules:
    tied = tuple(sorted({volume.affinity for volume in volumes if volume.affinity}, key=repr))
    return _Rules(tuple(sorted(pod.node_selector.items())), pod.affinity, pod.tolerations, tied, pod.host_ports)


def _admits(node: NodeView, rules: _Rules) -> bool:
    if any(node.labels.get(key) != value for key, value in rules.selector):
        return False
    terms = ((rules.affinity,) if rules.affinity else ()) + rules.volumes
    if not all(_within(node, one) for one in terms):
        return False
    return all(tolerates(rules.tolerations, taint) for taint in _hard(node.taints))


def _within(node: NodeView, terms: _Terms) -> bool:
    return any(term and all(meets(node.labels, need) for need in term) for term in terms)


def _hard(taints: Sequence[Taint]) -> list[Taint]:
    return [taint for taint in taints if taint.effect in _HARD]
