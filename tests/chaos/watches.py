"""Which watches of a roll are open, and what it evicted although it had not seen for too long.

Known where its requests pass: the proxy opens and closes them here. Whether a watch that is open tells anything is left
to the faults that make it late.
"""

import threading
import time
from collections.abc import Callable

from tests.chaos.servers import Asked

NEEDED = ("/api/v1/pods", "/apis/policy/v1/poddisruptionbudgets")
"""What a drain has to see to evict anything."""
_LIMIT = 8.0
"""Seconds: a drain evicts nothing from 5 s on, but it has to hear of the end first, and has sent things before."""


class Watches:
    """The open ones by their path, each with what cuts it off."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.blindly: list[str] = []
        """Evictions that were asked for although a kind that is needed had not been seen for too long."""
        self._clock = clock
        self._open: dict[str, list[Callable[[], None]]] = {}
        self._unseen: dict[str, float] = {}
        self._refused_until = float("-inf")
        self._lock = threading.Lock()

    def opened(self, path: str, cut: Callable[[], None]) -> None:
        """From now on this watch tells what happens; `cut` ends it."""
        with self._lock:
            self._open.setdefault(path, []).append(cut)
            self._unseen.pop(path, None)

    def closed(self, path: str, cut: Callable[[], None]) -> None:
        """It tells nothing any more."""
        with self._lock:
            self._open[path].remove(cut)
            if not self._open[path]:
                self._unseen[path] = self._clock()

    def listed(self, path: str) -> None:
        """All objects of a kind were read, whether a watch is open or not."""
        with self._lock:
            if path in self._unseen:
                self._unseen[path] = self._clock()

    def refuse(self, asked: Asked, seconds: float) -> bool:
        """Whether this request is a watch that may not be opened now; with `seconds` none may for so long."""
        if "evict" in asked.words:
            self._evicts(asked.path)
        if seconds:
            self._blind(seconds)
        return "watch" in asked.words and self._clock() < self._refused_until

    def _blind(self, seconds: float) -> None:
        with self._lock:
            self._refused_until = self._clock() + seconds
            cuts = [cut for those in self._open.values() for cut in those]
        for cut in cuts:
            cut()

    def _evicts(self, path: str) -> None:
        with self._lock:
            now = self._clock()
            for kind in NEEDED:
                seconds = now - self._unseen.get(kind, now)
                if seconds > _LIMIT:
                    self.blindly.append(f"{path} was asked for {seconds:.0f} s after {kind} had been seen last")
