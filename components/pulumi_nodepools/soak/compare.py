"""Failure rates before and after, with how sure they are.

Wilson's interval for one rate, Newcombe's for the difference of two (R. G. Newcombe, Statistics in Medicine 17, 1998,
methods 3 and 10): both hold for few runs and for rates of 0 and 1.
"""

from dataclasses import dataclass
from math import sqrt

from pulumi_nodepools.soak.evidence import Runs

_Z = 1.959964
"""95 %, two-sided."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % bounds, as shares from 0 to 1 (a difference: from -1 to 1)."""

    value: float
    low: float
    high: float


def rate(seen: Runs) -> Interval | None:
    """The share of failed runs; None without any run."""
    if not seen.runs:
        return None
    n, p = seen.runs, seen.failures / seen.runs
    middle = p + _Z**2 / (2 * n)
    reach = _Z * sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    scale = 1 + _Z**2 / n
    return Interval(p, max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale))


def fewer(before: Runs, after: Runs) -> Interval | None:
    """By how much the failure rate went down; None unless both have runs."""
    old, new = rate(before), rate(after)
    if old is None or new is None:
        return None
    difference = old.value - new.value
    low = difference - sqrt((old.value - old.low) ** 2 + (new.high - new.value) ** 2)
    high = difference + sqrt((old.high - old.value) ** 2 + (new.value - new.low) ** 2)
    return Interval(difference, low, high)
