"""One drain at a time in a cluster: pools share budgets, and two drains would take from them at once.

Drains of this process wait in the order that their pools ask for, then in that in which they came; those of other runs
until the Lease is free. A holder that died is succeeded as in every Lease.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial

from pulumi_nodepools.cluster import identity, lease
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.lease import LeaseHolder, Timing
from pulumi_nodepools.errors import HeldError
from pulumi_nodepools.names import DRAIN_LEASE, RECORD_NAMESPACE

_BEAT = 1.0
_COURTESY = 15.0
"""Seconds that a drain with an order above 0 leaves to others of its run to come: the engine begins them together, and
each looks at its groups first."""


@dataclass(eq=False)
class _Place:
    """Of one drain in the line."""

    who: str
    order: int
    not_before: float


@dataclass
class _Line:
    """The drains of this process in one cluster."""

    places: list[_Place] = field(default_factory=list)
    """In the order in which they came."""
    turn: _Place | None = None

    def before(self, place: _Place, now: float) -> str:
        """For whom a place has to wait; empty if it has the turn. Among equals the first that came goes first."""
        with _MOVED:
            first = self.turn or min(self.places, key=lambda waiting: waiting.order)
            if first is not place:
                return first.who
            if now < place.not_before:
                return "pools with a lower order, should they come"
            self.turn = place
            return ""


_LINES: dict[str, _Line] = defaultdict(_Line)
"""By cluster."""
_MOVED = threading.Condition()


@contextmanager
def turn(
    client: Client,
    who: str,
    *,
    stop: threading.Event,
    limit: float,
    waits: Callable[[str], None],
    order: int = 0,
    courtesy: float = _COURTESY,
    timing: Timing | None = None,
) -> Iterator[LeaseHolder]:
    """The cluster's drains are ours for the block; `who` is what others are told.

    Of the drains of this process that wait, one with a lower `order` goes first; one with an order above 0 waits
    `courtesy` seconds for such to come. While it waits, `waits` is told for whom, again and again. HeldError after
    `limit` seconds, or once `stop` is set, which is also set when the Lease is lost.
    """
    deadline = time.monotonic() + limit

    def wait_for(other: str) -> None:
        waits(other)
        if stop.is_set():
            raise HeldError(f"{who} was told to stop while it waited for the drain of {other}; nothing was evicted")
        if time.monotonic() >= deadline:
            raise HeldError(
                f"{who} waited {limit:g} s for the drain of {other}, and one drain at a time runs in a cluster (Lease "
                f"{RECORD_NAMESPACE}/{DRAIN_LEASE}). Nothing was evicted. Run again when that drain has ended"
            )

    timing = replace(timing or Timing(), patient=False)  # the line itself waits, and looks whether it was stopped
    hold = partial(lease.hold, client, DRAIN_LEASE, stop=stop, timing=timing, note=who)
    place = _Place(who, order, time.monotonic() + (courtesy if order > 0 else 0.0))
    with _in_line(_LINES[client.cluster_uid], place, wait_for), ExitStack() as stack:
        held = None
        while held is None:
            if other := _other(client):
                wait_for(other)
            with suppress(HeldError):
                held = stack.enter_context(hold())
        yield held


def _other(client: Client) -> str:
    """Which drain of another process has the turn, as far as is known; empty if none has."""
    holder, note = lease.noted(client, DRAIN_LEASE)
    ended = holder in {"", lease.holder_identity()} or identity.known_dead(holder)
    return "" if ended else f"{note or 'another pool'} by {holder}"


@contextmanager
def _in_line(line: _Line, place: _Place, wait_for: Callable[[str], None]) -> Iterator[None]:
    """Among the drains of this process."""
    with _MOVED:
        line.places.append(place)
    try:
        while other := line.before(place, time.monotonic()):
            wait_for(other)
            early = place.not_before - time.monotonic()
            with _MOVED:
                _MOVED.wait_for(
                    lambda: not line.before(place, time.monotonic()), min(_BEAT, early) if early > 0 else _BEAT
                )
        yield
    finally:
        with _MOVED:
            line.places.remove(place)
            line.turn = None if line.turn is place else line.turn
            _MOVED.notify_all()
