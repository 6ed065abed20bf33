"""One drain at a time in a cluster: pools share budgets, and two drains would take from them at once.

Drains of this process wait in the order in which they came, those of other runs until the Lease is free. A holder that
died is succeeded as in every Lease.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from pulumi_nodepools.cluster import identity, lease
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.lease import LeaseHolder, Timing
from pulumi_nodepools.errors import HeldError
from pulumi_nodepools.names import DRAIN_LEASE, RECORD_NAMESPACE

_BEAT = 1.0


@dataclass(eq=False)
class _Place:
    """Of one drain in the line."""

    who: str


_LINES: dict[str, deque[_Place]] = defaultdict(deque)
"""Who waits in this process, by cluster; the first has the turn or is after it."""
_MOVED = threading.Condition()


@contextmanager
def turn(
    client: Client,
    who: str,
    *,
    stop: threading.Event,
    limit: float,
    waits: Callable[[str], None],
    timing: Timing | None = None,
) -> Iterator[LeaseHolder]:
    """The cluster's drains are ours for the block; `who` is what others are told.

    While it waits, `waits` is told for whom, again and again. HeldError after `limit` seconds, or once `stop` is set,
    which is also set when the Lease is lost.
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
    with _in_line(client.cluster_uid, who, wait_for), ExitStack() as stack:
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
def _in_line(cluster: str, who: str, wait_for: Callable[[str], None]) -> Iterator[None]:
    """In the order of arrival, for the drains of this process."""
    line, place = _LINES[cluster], _Place(who)
    with _MOVED:
        line.append(place)
    try:
        while (first := line[0]) is not place:
            wait_for(first.who)
            with _MOVED:
                _MOVED.wait_for(lambda: line[0] is place, _BEAT)
        yield
    finally:
        with _MOVED:
            line.remove(place)
            _MOVED.notify_all()
