"""What a hit means beside others: near an anchor of its set, on the same node, a weak one proves more."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pulumi_nodepools.soak.model import Hit


def correlate(hits: Sequence[Hit], windows: Mapping[str, float]) -> list[Hit]:
    """The hits with their final weights, noise left out. `windows` has the seconds of each set, inclusive.

    A hit or anchor without a time is near nothing. Nodes must be equal where both are known.
    """
    anchors = [hit for hit in hits if hit.anchor and hit.at is not None]
    raised = (_raised(hit, anchors, windows.get(hit.set, 0.0)) for hit in hits)
    return [hit for hit in raised if hit.weight != "noise"]


def near(hit: Hit, anchor: Hit, window: float) -> bool:
    """Whether `anchor` raises `hit`."""
    if hit.set != anchor.set or hit.at is None or anchor.at is None or hit is anchor:
        return False
    same_node = not hit.node or not anchor.node or hit.node == anchor.node
    return same_node and abs(hit.at - anchor.at) <= window


def _raised(hit: Hit, anchors: Sequence[Hit], window: float) -> Hit:
    if hit.raised is None:
        return hit
    by = next((anchor for anchor in anchors if near(hit, anchor, window)), None)
    return hit if by is None else replace(hit, weight=hit.raised, near=by.signature)
