"""How many pods of a controller without a budget may be on their way out: the next one after a replacement is ready.

It remembers who was asked to leave, until the world itself no longer counts that pod as ready. Mutable, no clock.
"""

from collections.abc import Iterator

from pulumi_nodepools.drain.lanes import Lane
from pulumi_nodepools.drain.world import World, counts_as_ready

_SHARE = 4
"""An unbudgeted controller may have one of this many pods unavailable."""


class Pacing:
    """Who is leaving, by controller."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._going: dict[str, dict[str, None]] = {}

    def leaves(self, owner: str, uid: str) -> None:
        """A pod was asked to go."""
        if owner:
            self._going.setdefault(owner, {})[uid] = None

    def settled(self, owner: str, uid: str) -> None:
        """It need not be remembered: it stays, or the world shows that it goes."""
        self._going.get(owner, {}).pop(uid, None)

    def next_of(self, owner: str, lane: Lane) -> Iterator[str]:
        """Those who serve nobody or count as leaving already, then as many others as there is room for."""
        going = self._going.get(owner, {})
        yield from lane.unready
        yield from (uid for uid in going if uid in lane.pending and uid not in lane.unready)
        room = self._room(owner)
        for uid in lane.pending:
            if room <= 0:
                return
            if uid not in lane.unready and uid not in going:
                room -= 1
                yield uid

    def _lost(self, owner: str) -> int:
        """Pods that count as ready on nodes that are gone, until the garbage collector gets to them."""
        there = (uid for node in self._world.lost for uid in self._world.by_node.get(node, ()))
        pods = (self._world.pods[uid] for uid in there if uid not in self._going.get(owner, ()))
        return sum(counts_as_ready(pod) and pod.owner is not None and pod.owner.uid == owner for pod in pods)

    def _room(self, owner: str) -> int:
        """How many more ready pods the controller may lose now."""
        controller = self._world.controllers.get(owner)
        if controller is None:
            return 1
        leaving = sum(
            1
            for uid in self._going.get(owner, ())
            if uid in self._world.pods and counts_as_ready(self._world.pods[uid])
        )
        unavailable = controller.desired - (self._world.ready[owner] - leaving - self._lost(owner))
        return max(1, controller.desired // _SHARE) - max(0, unavailable)
