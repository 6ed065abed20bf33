"""The collector's loop: look, add to the evidence, keep it. Ends between two looks."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from pulumi_nodepools.collector.looking import Observer
from pulumi_nodepools.collector.settings import Settings
from pulumi_nodepools.collector.store import Store
from pulumi_nodepools.in_cluster.api import Api, Unanswered
from pulumi_nodepools.soak.evidence import Evidence, Look

LOOK_LIMIT = 120.0
"""Seconds that one look may take: a pattern of a user's may explode on a line."""


class Clock(Protocol):
    """Two clocks: `wall` may be set by anybody, `steady` only ever goes on."""

    def wall(self) -> float: ...

    def steady(self) -> float: ...


class SystemClock:
    """The machine's."""

    def wall(self) -> float:
        return time.time()

    def steady(self) -> float:
        return time.monotonic()


class TooSlowError(Exception):
    """A look took longer than it may."""


class Collector:
    """Keeps the evidence of one subject."""

    def __init__(self, api: Api, settings: Settings, clock: Clock, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._clock = clock
        self._say = say
        self._observer = Observer(api, settings)
        self._store = Store(api, settings.namespace, settings.subject)
        self._evidence: Evidence | None = None
        self._wall = self._steady = 0.0
        self._away = "the collector was not running"

    def run(self, stopped: threading.Event) -> None:
        """Look every interval until told to stop."""
        while not stopped.is_set():
            try:
                self.step()
            except Unanswered as error:
                self._say(f"evidence could not be kept: {error}")
            stopped.wait(self._settings.interval)

    def step(self) -> Evidence:
        """One look; the evidence is in the cluster when it returns. Unanswered if it could not be written."""
        evidence = self._evidence or self._loaded()
        wall, steady = self._clock.wall(), self._clock.steady()
        evidence = evidence.after(self._look(evidence, wall, steady), self._settings.windows)
        # Kept here too: if the server does not answer now, the next step writes both.
        self._evidence, self._wall, self._steady = evidence, wall, steady
        if not self._store.save(evidence):
            self._evidence, self._away = None, "somebody else wrote the evidence"
            self._say(f"{self._away}: loading it again")
        self._tell(evidence)
        return evidence

    def _loaded(self) -> Evidence:
        self._wall, self._steady = self._clock.wall(), self._clock.steady()
        return self._store.load(self._wall, self._away)

    def _look(self, evidence: Evidence, wall: float, steady: float) -> Look:
        seconds = steady - self._steady
        try:
            with limited(LOOK_LIMIT):
                return self._observer.look(evidence, begin=self._wall, end=wall, seconds=seconds)
        except TooSlowError:
            reason = f"a look took more than {LOOK_LIMIT:.0f} s (a flood, or a pattern that explodes on some line)"
            return Look(self._wall, wall, seconds, missing=reason, cursors=evidence.cursors, present=evidence.counted)

    def _tell(self, evidence: Evidence) -> None:
        longest = max((boot.watched for boot in evidence.boots), default=0.0)
        runs = evidence.runs["canary"]
        gap = evidence.gaps[-1] if evidence.gaps and evidence.gaps[-1].end == evidence.updated else None
        now = f"; not counting: {gap.reason}" if gap else ""
        hits = sum(evidence.counts.values())
        self._say(f"watched {longest:.0f} s, {runs.runs} runs, {runs.failures} failed, {hits} hits{now}")


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TooSlowError in the block after so many seconds; in the main thread only, elsewhere without a limit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(_number: int, _frame: object) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
