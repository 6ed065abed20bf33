"""Pause, resume and stop: written into a pool's record by whoever wants it, told to the drain that runs.

A pause is kept for every drain of the pool, also for one that starts later, until it is taken back. A stop means the
run that holds the pool now and no later one. What a drain makes of it is drain.machine's business.
"""

import getpass
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from pulumi_nodepools.cluster.lease import holder_identity
from pulumi_nodepools.cluster.record import PoolRecord, Request
from pulumi_nodepools.drain.events import Pause, Resume, Stop
from pulumi_nodepools.errors import NodePoolsError

_BEAT = 2.0
"""Seconds between two looks: one small read each."""


def ask(record: PoolRecord, kind: Literal["pause", "stop"]) -> Request:
    """Write down who wants what, now."""
    holder = record.holder() if kind == "stop" else ""
    request = Request(kind, _who(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), holder)
    record.update(lambda now: replace(now, request=request))
    return request


def withdraw(record: PoolRecord) -> Request | None:
    """Take back what was asked; returns it, or None if nothing was."""
    before = record.load().request
    if before:
        record.update(lambda now: replace(now, request=None))
    return before


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


class RequestWatcher(threading.Thread):
    """Looks at the records of a drain while it runs, and tells it what has changed."""

    def __init__(self, records: Sequence[PoolRecord], emit: Callable[[Pause | Resume | Stop], None]) -> None:
        super().__init__(name="requests", daemon=True)
        self._records = records
        self._emit = emit
        self._closed = threading.Event()
        self._paused = ""

    def look(self) -> None:
        """Read once and tell. Called before the drain begins too, so that a paused pool is never touched."""
        asked = [request for record in self._records if (request := record.load().request)]
        stop = next((one for one in asked if one.kind == "stop" and one.holder == holder_identity()), None)
        pauses = "; ".join(str(one) for one in asked if one.kind == "pause")
        if stop:
            self._emit(Stop(str(stop)))
        if pauses and pauses != self._paused:
            self._emit(Pause(pauses))
        elif self._paused and not pauses:
            self._emit(Resume())
        self._paused = pauses

    def run(self) -> None:
        """Look until it is closed. A failed look changes nothing: whether the API answers is the watches' concern."""
        while not self._closed.wait(_BEAT):
            try:
                self.look()
            except NodePoolsError:
                continue

    def close(self) -> None:
        """End the thread soon."""
        self._closed.set()
