"""Pure: whether a version may be drained at all, given what else is ready. Asked before every batch.

This is what makes a half-failed update, `--continue-on-error` or a new version deleted by hand harmless: it
refuses and nothing is touched.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import msgspec

from pulumi_nodepools.drain.classify import classify, runs_for_a_soak
from pulumi_nodepools.drain.model import NodeView, PodView, Resources, WorldView
from pulumi_nodepools.drain.placement import fits
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.storage import Storage
from pulumi_nodepools.errors import CapacityError
from pulumi_nodepools.hooks.members import Membership

_NAMED = 5


def refuse_serving(pool: str, version: str, serving: str | None) -> None:
    """A version that serves is never drained, whatever the engine asks for."""
    if serving == version:
        raise CapacityError(
            f"{pool} {version} is the version that serves: no other version of the pool has passed its readiness "
            "gate, so draining it would leave the pool without nodes. Nothing was touched. Get the new version's gate "
            "to pass (`pulumi up`), or list this version again"
        )


def lacking(
    world: WorldView, blue: Callable[[NodeView], bool], settings: DrainSettings, serving: Membership | None
) -> int:
    """How many ready, schedulable nodes the serving version lacks to be as many as those that go.

    Nodes that all stand by, cordoned and without anything to move, are no capacity: any number of them may go.
    """
    leaving = [node for node in world.nodes if blue(node)]
    if serving is None or not _carries(world, leaving, settings):
        return 0
    return max(0, len(leaving) - sum(usable(node) and serving.includes(node) for node in world.nodes))


def require_count(
    world: WorldView, blue: Callable[[NodeView], bool], settings: DrainSettings, serving: Membership | None
) -> None:
    """The serving version must have as many ready, schedulable nodes as the one that goes has nodes."""
    missing = lacking(world, blue, settings, serving)
    if serving is not None and missing:
        leaving = sum(map(blue, world.nodes))
        raise CapacityError(
            f"{serving.pool} {serving.version}, the version that serves, has {leaving - missing} ready and schedulable "
            f"nodes, but {leaving} nodes are to be drained: capacity would fall below what it was. No node was touched "
            f"now. Bring {serving.version} to {leaving} ready nodes and run `pulumi up` again"
        )


def _carries(world: WorldView, nodes: Sequence[NodeView], settings: DrainSettings) -> bool:
    names = {node.name for node in nodes}
    return not all(node.unschedulable for node in nodes) or any(
        pod.node in names and _moves(pod, settings) for pod in world.pods
    )


def require_room(
    world: WorldView, blue: Callable[[NodeView], bool], settings: DrainSettings, *, otherwise: str = ""
) -> None:
    """Every pod that would be evicted must fit on a usable node that stays. `otherwise`: another way for the user."""
    names = {node.name for node in world.nodes if blue(node)}
    staying = [node for node in world.nodes if node.name not in names and usable(node)]
    moving = [pod for pod in world.pods if pod.node in names and _moves(pod, settings)]
    if not moving:
        return
    if not staying:
        raise CapacityError(
            f"{len(moving)} pods would be evicted and there is no ready, schedulable node outside the version; "
            f"nothing was touched. Add capacity and run again{otherwise}"
        )
    _refuse_unplaced(moving, staying, world, otherwise)


def usable(node: NodeView) -> bool:
    """Whether the scheduler may put pods on it now."""
    return node.ready and not node.unschedulable


def _moves(pod: PodView, settings: DrainSettings) -> bool:
    # What blocks is the drain's to report; what has finished needs no room, nor does what is to run nowhere else.
    if pod.finished or runs_for_a_soak(pod):
        return False
    return classify(pod, settings, time.time()).action == "evict"


def _refuse_unplaced(moving: Sequence[PodView], staying: Sequence[NodeView], world: WorldView, otherwise: str) -> None:
    unplaced = fits(moving, remaining(staying, world.pods), Storage.of(world), world.pods)
    if unplaced:
        named = "; ".join(str(entry) for entry in unplaced[:_NAMED])
        more = f"; and {len(unplaced) - _NAMED} more" if len(unplaced) > _NAMED else ""
        raise CapacityError(
            f"{len(unplaced)} of {len(moving)} pods that would be evicted fit on none of the {len(staying)} ready "
            f"nodes outside the version: {named}{more}. No node was touched now. Add capacity for them, or scale the "
            f"workloads down, and run again{otherwise}"
        )


def remaining(nodes: Sequence[NodeView], pods: Sequence[PodView]) -> list[NodeView]:
    """The nodes with only what the pods on them have left over as allocatable."""
    used: dict[str, list[PodView]] = defaultdict(list)
    for pod in pods:
        if not pod.finished:
            used[pod.node].append(pod)
    return [msgspec.structs.replace(node, allocatable=_left(node.allocatable, used[node.name])) for node in nodes]


def _left(allocatable: Resources, pods: Sequence[PodView]) -> Resources:
    return Resources(
        cpu=allocatable.cpu - sum(pod.requests.cpu for pod in pods),
        memory=allocatable.memory - sum(pod.requests.memory for pod in pods),
        pods=allocatable.pods - len(pods),
    )
