"""What a hit means beside others: near an anchor of its set, on the same node, a weak one proves more."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pulumi_nodepools.soak.model import Hit

_ANY = "*"
"""The place of anchors whatever their node; no node is called so."""


class Anchors:
    """The anchors of all sets by node and time, so that a flood of hits stays cheap."""

    def __init__(self, hits: Iterable[Hit]) -> None:
        self._known: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
        for hit in hits:
            if hit.anchor and hit.at is not None:
                for place in (hit.node, _ANY):
                    self._known[hit.set, place].append((hit.at, hit.signature))
        for found in self._known.values():
            found.sort()

    def near(self, hit: Hit, window: float) -> str:
        """The signature of an anchor within `window` seconds (inclusive) of the hit; "" if there is none.

        A hit or anchor without a time is near nothing. Nodes must be equal where both are known.
        """
        if hit.at is None:
            return ""
        for place in (hit.node, "") if hit.node else (_ANY,):
            found = self._known.get((hit.set, place), [])
            index = bisect_left(found, (hit.at - window, ""))
            if index < len(found) and found[index][0] <= hit.at + window:
                return found[index][1]
        return ""


def correlate(hits: Sequence[Hit], windows: Mapping[str, float]) -> list[Hit]:
    """The hits with their final weights, noise left out. `windows` has the seconds of each set."""
    anchors = Anchors(hits)
    raised = (_raised(hit, anchors, windows.get(hit.set, 0.0)) for hit in hits)
    return [hit for hit in raised if hit.weight != "noise"]


def _raised(hit: Hit, anchors: Anchors, window: float) -> Hit:
    by = anchors.near(hit, window) if hit.raised else ""
    return replace(hit, weight=hit.raised, near=by) if hit.raised and by else hit
