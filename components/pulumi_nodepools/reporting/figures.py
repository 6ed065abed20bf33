"""Numbers that a report does not spell out but that people ask for: rates, waits, totals."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pulumi_nodepools.reporting.document import Capacity, Drain, Pod

_BINS = 60
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Seconds that people count in."""


def step_for(seconds: float, most: int) -> float:
    """The smallest round step that divides a time into at most `most` parts."""
    return next((step for step in _STEPS if seconds / step <= most), _STEPS[-1])


def moved(drain: Drain) -> list[Pod]:
    """Pods that left because of the drain."""
    return [pod for pod in drain.pods if pod.outcome in ("evicted", "forced")]


def evictions_per_second(drain: Drain) -> tuple[float, list[float]]:
    """Width of a bin in seconds, and the rate in each bin from the start to the end of the drain."""
    width = step_for(drain.run.seconds, _BINS)
    counts = [0] * (int(drain.run.seconds // width) + 1)
    for pod in moved(drain):
        if pod.evict.end is not None:
            counts[min(int(pod.evict.end // width), len(counts) - 1)] += 1
    return width, [count / width for count in counts]


@dataclass(frozen=True)
class Wait:
    """Pods under one budget: when any of them waited for its eviction, and the pod that waited longest."""

    budget: str
    pods: int
    spans: tuple[tuple[float, float], ...]
    longest: float
    left: int


def waits(drain: Drain) -> list[Wait]:
    """One entry per budget (pods without one share an empty name), those who waited longest first."""
    by_budget: dict[str, list[Pod]] = defaultdict(list)
    for pod in drain.pods:
        by_budget[pod.budget].append(pod)
    found = [_wait(budget, pods, drain.run.seconds) for budget, pods in by_budget.items()]
    return sorted((wait for wait in found if wait.spans), key=lambda wait: (-wait.longest, wait.budget))


def _wait(budget: str, pods: Sequence[Pod], end: float) -> Wait:
    spans = [
        (pod.evict.start, end if pod.evict.end is None else pod.evict.end)
        for pod in pods
        if pod.evict.start is not None and (pod.evict.end is not None or pod.outcome == "left")
    ]
    longest = max((until - since for since, until in spans), default=0.0)
    return Wait(budget, len(pods), tuple(_union(spans)), longest, sum(pod.outcome == "left" for pod in pods))


def _union(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for since, until in sorted(spans):
        if merged and since <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], until))
        else:
            merged.append((since, until))
    return merged


def lowest(capacity: Capacity) -> int | None:
    """The fewest nodes that were ready at any moment; None if nothing was recorded."""
    return min((point.blue + point.green for point in capacity.points), default=None)


def requests(drain: Drain) -> int:
    """All requests to the API server."""
    return sum(sum(codes.values()) for codes in drain.api_calls.values())


def percent(share: float) -> str:
    """A share in per cent, to one decimal: 38.9 %, 40 %."""
    return f"{share * 100:.1f}".removesuffix(".0") + " %"
