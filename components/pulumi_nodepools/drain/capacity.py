"""Ready capacity while a drain runs, as a timeline of changes: the nodes that go and those that take their place."""

from collections import Counter

from pulumi_nodepools.drain.model import NodeView, Point
from pulumi_nodepools.names import POOL_LABEL


class Capacity:
    """Counts as nodes change. Nodes without a pool count as one pool. Mutable, no clock."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.floor: int | None = None
        """Nodes of the drain that were ready when it began, cordoned or not: what must stay ready. None: no pool."""
        self._nodes: dict[str, tuple[bool, str, bool, bool]] = {}
        self._usable: Counter[tuple[bool, str]] = Counter()
        self._begun = False

    def seen(self, node: NodeView, now: float, *, ours: bool) -> None:
        """A node as it is now; `ours` if it is drained."""
        self._drop(node.name)
        kept = (ours, node.labels.get(POOL_LABEL, ""), node.ready, node.ready and not node.unschedulable)
        self._nodes[node.name] = kept
        self._usable[kept[:2]] += kept[3]
        self._mark(now)

    def gone(self, name: str, now: float) -> None:
        """The node is no more."""
        self._drop(name)
        self._mark(now)

    def begin(self, now: float) -> None:
        """Everything has been seen once: the timeline begins."""
        self._begun = True
        if any(pool for ours, pool, _, _ in self._nodes.values() if ours):
            self.floor = sum(ours and ready for ours, _, ready, _ in self._nodes.values())
        self._mark(now)

    def _drop(self, name: str) -> None:
        before = self._nodes.pop(name, None)
        if before:
            self._usable[before[:2]] -= before[3]

    def _mark(self, now: float) -> None:
        if not self._begun:
            return
        pools = {pool for ours, pool in self._usable if ours}
        blue = sum(number for (ours, _), number in self._usable.items() if ours)
        green = sum(number for (ours, pool), number in self._usable.items() if not ours and pool in pools)
        last = self.points[-1] if self.points else None
        if last and (last.blue, last.green) == (blue, green):
            return
        if last and last.at == now:
            self.points.pop()
        self.points.append(Point(now, blue, green))
