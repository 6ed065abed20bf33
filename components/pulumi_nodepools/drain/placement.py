"""Whether pods would find a place on given nodes: first fit, largest first, as the scheduler filters. Pure.

It looks at requests, pod count, node selector, required node affinity, taints, host ports, where bound volumes can be
used, and how many of them a node can attach. Affinity between pods and spreading are not looked at: a pod that fits
here may still have to wait.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pulumi_nodepools.drain.attaching import Demand, Slots
from pulumi_nodepools.drain.classify import meets, tolerates
from pulumi_nodepools.drain.model import NodeView, PodView, Requirement, Taint, Toleration, VolumeView
from pulumi_nodepools.drain.storage import Storage
from pulumi_nodepools.units import counted

_HARD = ("NoSchedule", "NoExecute")

_Terms = tuple[tuple[Requirement, ...], ...]
_Bound = Mapping[str, Sequence[VolumeView]]
"""Volumes of pods, by their UID."""


@dataclass(frozen=True)
class _Rules:
    """What makes nodes equal or different for a pod, however large it is."""

    selector: tuple[tuple[str, str], ...]
    affinity: _Terms
    tolerations: tuple[Toleration, ...]
    volumes: tuple[_Terms, ...]
    ports: tuple[str, ...]


_Shape = tuple[_Rules, int, int, tuple[tuple[str, str], ...]]
"""Rules, CPU, memory and volumes: what makes two pods the same for every node."""


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
    slots: Slots = field(default_factory=Slots)

    def takes(self, pod: PodView, volumes: Sequence[VolumeView]) -> bool:
        if not self.ports.isdisjoint(pod.host_ports) or self.slots.exceeded(volumes):
            return False
        return self.pods >= 1 and self.cpu >= pod.requests.cpu and self.memory >= pod.requests.memory

    def put(self, pod: PodView, volumes: Sequence[VolumeView]) -> None:
        self.cpu -= pod.requests.cpu
        self.memory -= pod.requests.memory
        self.pods -= 1
        self.occupy(pod, volumes)

    def occupy(self, pod: PodView, volumes: Sequence[VolumeView]) -> None:
        self.ports.update(pod.host_ports)
        self.slots.put(volumes)


def fits(
    pods: Sequence[PodView],
    nodes: Sequence[NodeView],
    storage: Storage | None = None,
    there: Sequence[PodView] = (),
) -> list[Unplaced]:
    """Place all pods on the nodes, whose `allocatable` is what is free on them; returns those left over.

    `there` are pods whose host ports and volumes are taken on their nodes. Cost: nodes times distinct shapes of pods,
    plus pods; never pods times nodes.
    """
    storage = storage or Storage()
    users = (*there, *pods) if storage.limits else pods
    bound = {pod.uid: storage.volumes_of(pod) for pod in users if pod.claims}
    demand = Demand(storage.limits.values(), bound.values())
    rooms = _rooms(nodes, storage, there, bound)
    eligible: dict[_Rules, list[_Room]] = {}
    shapes: dict[_Shape, list[PodView]] = defaultdict(list)
    for pod in pods:
        volumes = bound.get(pod.uid, ())
        rules = _rules(pod, volumes)
        if rules not in eligible:
            eligible[rules] = [room for room in rooms if _admits(room.node, rules)]
        shapes[(rules, pod.requests.cpu, pod.requests.memory, demand.of(volumes))].append(pod)
    unplaced: list[Unplaced] = []
    # Those that their volumes tie to a zone or to few nodes first, then the largest, and within a size the pickiest:
    # who has a choice can step aside.
    order = sorted(
        shapes,
        key=lambda shape: (not (shape[0].volumes or shape[3]), -shape[1], -shape[2], len(eligible[shape[0]])),
    )
    for shape in order:
        rooms = eligible[shape[0]]
        left = _place(shapes[shape], rooms, bound)
        unplaced.extend(Unplaced(pod, _why(pod, rooms, nodes, bound.get(pod.uid, ()))) for pod in left)
    return unplaced


def admits(node: NodeView, pod: PodView, volumes: Sequence[VolumeView] = ()) -> bool:
    """Whether its selector, affinity and tolerations, and these volumes, let a pod onto the node."""
    return _admits(node, _rules(pod, volumes))


def _rooms(nodes: Sequence[NodeView], storage: Storage, there: Iterable[PodView], bound: _Bound) -> list[_Room]:
    rooms = {
        node.name: _Room(
            node,
            node.allocatable.cpu,
            node.allocatable.memory,
            node.allocatable.pods,
            slots=Slots(storage.limits.get(node.name, {})),
        )
        for node in nodes
    }
    for pod in there:
        if pod.node in rooms and not pod.finished:
            rooms[pod.node].occupy(pod, bound.get(pod.uid, ()))
    return list(rooms.values())


def _place(group: Sequence[PodView], rooms: Sequence[_Room], bound: _Bound) -> Sequence[PodView]:
    """Place pods of one shape, returns those left over: a node that refuses one of them refuses all that follow."""
    index = 0
    for done, pod in enumerate(group):
        volumes = bound.get(pod.uid, ())
        while index < len(rooms) and not rooms[index].takes(pod, volumes):
            index += 1
        if index == len(rooms):
            return group[done:]
        rooms[index].put(pod, volumes)
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
    full = [driver for room in rooms if (driver := room.slots.exceeded(volumes))]
    if len(full) == len(rooms):
        return _exceeding(full[0], rooms, volumes) + where
    wanted = f"{need.cpu}m CPU and {need.memory // 2**20} MiB"
    beside = f", {len(full)} of which can attach no more volumes of {full[0]}" if full else ""
    return f"needs {wanted}, not free on any of the {len(rooms)} nodes that admit it{beside}{where}"


def _exceeding(driver: str, rooms: Sequence[_Room], volumes: Sequence[VolumeView]) -> str:
    own = len({volume.name for volume in volumes if volume.driver == driver})
    most = max(room.slots.limits.get(driver, 0) for room in rooms)
    return (
        f"its {counted(own, 'volume')} of {driver} would exceed what each of the {len(rooms)} nodes that admit it can "
        f"attach, {most} at most"
    )


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
