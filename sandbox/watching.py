"""Watches of the sandbox's own programs: every object of some collections, from a list on, handed to a function each.

A watch that breaks is a gap, and begins again with a list. What objects mean is the caller's business.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from pulumi_nodepools.cluster.client import Client

Object = dict[str, Any]
Handle = Callable[[Object, bool, float], None]
"""Takes an object, whether it was deleted, and when that was seen; never two at once."""


class Watching:
    """One thread per collection until `stop`."""

    def __init__(
        self, client: Client, handlers: Mapping[str, Handle], *, clock: Callable[[], float] = time.time
    ) -> None:
        self.gaps: list[str] = []
        self.lock = threading.Lock()
        """Held while a handler runs."""
        self._client = client
        self._handlers = handlers
        self._clock = clock
        self._stopped = threading.Event()

    def start(self, timeout: float = 30.0) -> None:
        """Return when all lists have been read: nothing after this moment is missed."""
        listed = {path: threading.Event() for path in self._handlers}
        for path, handle in self._handlers.items():
            threading.Thread(target=self._follow, args=(path, handle, listed[path]), daemon=True).start()
        if not all(event.wait(timeout) for event in listed.values()):
            raise TimeoutError(f"{', '.join(self._handlers)} could not be listed within {timeout:.0f} s")

    def stop(self) -> None:
        """No handler runs after this."""
        self._stopped.set()
        with self.lock:
            pass

    def _follow(self, path: str, handle: Handle, listed: threading.Event) -> None:
        version = ""
        while not self._stopped.is_set():
            try:
                if not version:
                    version = self._list(path, handle)
                    listed.set()
                for event in self._events(path, version):
                    version = self._observe(event, handle)
            except Exception as error:  # noqa: BLE001  a broken watch is a gap in the record, not the end of it
                self.gaps.append(f"{path}: {type(error).__name__}: {error}")
                version = ""
                self._stopped.wait(0.5)

    def _list(self, path: str, handle: Handle) -> str:
        version = ""
        for page in self._client.list_raw(path):
            document = msgspec.json.decode(page)
            version = document["metadata"]["resourceVersion"]
            now = self._clock()
            with self.lock:
                for item in document["items"]:
                    handle(item, False, now)
        return version

    def _events(self, path: str, version: str) -> Iterable[Object]:
        for line in self._client.watch_lines(path, resource_version=version, timeout_seconds=60):
            if self._stopped.is_set():
                return
            yield msgspec.json.decode(line)

    def _observe(self, event: Object, handle: Handle) -> str:
        if event["type"] == "ERROR":
            raise RuntimeError(str(event["object"].get("message", event["object"])))
        version: str = event["object"]["metadata"]["resourceVersion"]
        if event["type"] != "BOOKMARK":
            with self.lock:
                if not self._stopped.is_set():
                    handle(event["object"], event["type"] == "DELETED", self._clock())
        return version
