"""What the recorder saw, as report.json has it: seconds since the record began, old nodes blue, all others green."""

from collections.abc import Set
from typing import Any

from sandbox.recorder import Interruption, Ledger


def recorded(ledger: Ledger, began: float, old: str, predicted: Set[str]) -> dict[str, Any]:
    """The interruptions, those that were predicted, and the capacity with its floor: what was ready at the start."""
    points = [
        {
            "at": round(max(0.0, point["time"] - began), 3),
            "blue": point["versions"].get(old, 0),
            "green": sum(count for version, count in point["versions"].items() if version != old),
        }
        for point in ledger.capacity
    ]
    return {
        "interruptions": [_interruption(item, began, predicted) for item in ledger.interruptions],
        "predictedInterruptions": sorted(predicted),
        "capacity": {"floor": _floor(ledger), "points": points},
    }


def _floor(ledger: Ledger) -> int | None:
    """What was ready when the watch began, as soon as its list of nodes was read whole."""
    before = [point for point in ledger.capacity if len(point["versions"]) == 1]
    return max((point["ready"] for point in before), default=None)


def _interruption(item: Interruption, began: float, predicted: Set[str]) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "subject": item.subject,
        "detail": item.detail,
        "began": round(item.began - began, 3),
        "ended": None if item.ended is None else round(item.ended - began, 3),
        "predicted": item.kind == "service" and item.subject in predicted,
    }
