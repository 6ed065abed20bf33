"""Keeps the note of a running drain in the records of its pools, for whoever watches (`nodepools status`).

Best effort, beside the drain: at most one write every few seconds to each record, none while nothing changes. What is
noted is drain.note's to say. A note that is lost harms nobody.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from msgspec.structs import replace as altered

from pulumi_nodepools.cluster.lease import holder_identity
from pulumi_nodepools.cluster.record import PoolRecord, Record
from pulumi_nodepools.drain.model import Progress
from pulumi_nodepools.drain.note import Note, note_of, read
from pulumi_nodepools.errors import NodePoolsError

_BEAT = 3.0
"""Seconds between two writes."""
_FAREWELL = 2.0
"""Seconds that the end of a drain waits for the last one."""
_UNTOUCHED = ("sync", "guard")
"""Phases in which nothing has been changed yet, as long as no other came before."""


class Noter(threading.Thread):
    """Writes the newest note until it is closed, and then how the drain ended."""

    def __init__(self, records: Sequence[PoolRecord], owner: str, beat: float = _BEAT) -> None:
        super().__init__(name="noter", daemon=True)
        self._records = records
        self._owner = owner
        self._beat = beat
        self._closed = threading.Event()
        self._seen: Progress | None = None
        self._newest: Note | None = None
        self._due = 0.0
        self._written: Note | None = None

    def saw(self, progress: Progress) -> None:
        """The drain stands so now. A drain that its first guard refuses leaves no note.

        Called by the drain's own thread as often as it likes: only what may be written is looked at.
        """
        if self._records and (self._seen or progress.phase not in _UNTOUCHED):
            self._seen = progress
            if time.monotonic() >= self._due:
                self._newest = self._note(progress)
                self._due = time.monotonic() + self._beat

    def ended(self, outcome: str) -> None:
        """It is over. Called by the drain's own thread."""
        if self._seen:
            self._newest = altered(self._note(self._seen), outcome=outcome)

    def _note(self, progress: Progress) -> Note:
        return note_of(progress, self._owner, holder_identity(), time.time())

    def run(self) -> None:
        """Write when something has changed, and once more at the end."""
        while not self._closed.wait(self._beat):
            self.write()
        self.write()

    def close(self) -> None:
        """Wait a moment for the last note."""
        self._closed.set()
        if self.is_alive():
            self.join(_FAREWELL)

    def write(self) -> None:
        """Write the newest note if something has changed since the last one; a write that fails is left out."""
        note = self._newest
        if note is None or note.same(self._written):
            return
        try:
            for record in self._records:
                record.update(lambda now: _noted(now, note, begun=self._written is not None))
        except NodePoolsError:
            return
        self._written = note


def _noted(record: Record, note: Note, *, begun: bool) -> Record:
    """The record with the note; as it is if another run has taken over, whose note must stay."""
    there = read(record.progress)
    lost = begun and there is not None and there.holder != note.holder
    return record if lost else replace(record, progress=note.to_json())
