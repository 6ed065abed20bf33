"""Hits in bounded room: exact counts for ever, and the first hits of each signature with their lines."""

from collections import Counter

from pulumi_nodepools.soak.model import Hit


class Tally:
    """Counts every hit and keeps at most `limit` different ones of each signature and weight."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[tuple[str, str, str], dict[Hit, None]] = {}
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, hit: Hit) -> None:
        """Count the hit, and keep it while there is room."""
        kept = self._kept.setdefault((hit.set, hit.signature, hit.weight), {})
        self.counts[hit.set, hit.signature] += 1
        if len(kept) < self._limit:
            kept[hit] = None

    @property
    def hits(self) -> list[Hit]:
        """What was kept, in the order of time as far as it is known."""
        return sorted((hit for kept in self._kept.values() for hit in kept), key=lambda hit: hit.at or 0.0)

    @property
    def left_out(self) -> int:
        """How many were counted but not kept."""
        return sum(self.counts.values()) - sum(map(len, self._kept.values()))
