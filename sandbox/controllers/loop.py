"""What the controllers share: copies of some collections, and a thread that looks at them again and again."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

from pulumi_nodepools.cluster.client import Client
from sandbox.watching import Object, Watching

LOG = logging.getLogger("controllers")
BEAT = 0.1
"""Seconds between two looks."""


class Controller(ABC):
    """`with` runs it. A look that fails is told in the log and made again."""

    def __init__(self, client: Client, paths: Sequence[str]) -> None:
        self.client = client
        self.known: dict[str, dict[str, Object]] = {path: {} for path in paths}
        """Objects by path and namespace/name."""
        self._watching = Watching(client, {path: partial(self._saw, path) for path in paths})
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @abstractmethod
    def look(self, now: float) -> None:
        """Bring what is nearer to what should be; `now` only ever grows."""

    def __enter__(self) -> Self:
        self._watching.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(30)
        self._watching.stop()

    def items(self, path: str) -> list[Any]:
        """The objects of a collection as they are now."""
        with self._watching.lock:
            return list(self.known[path].values())

    def forget(self, path: str, item: Object) -> None:
        """This controller itself has deleted it."""
        with self._watching.lock:
            self._saw(path, item, True, 0.0)

    def _saw(self, path: str, item: Object, deleted: bool, _now: float) -> None:
        name = f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"
        if deleted:
            self.known[path].pop(name, None)
        else:
            self.known[path][name] = item

    def _run(self) -> None:
        while not self._stopped.wait(BEAT):
            try:
                self.look(time.monotonic())
            except Exception:
                LOG.exception("%s failed, and looks again", type(self).__name__)


def instance_of(node: Object) -> str:
    """The EC2 instance behind a Node; empty if it says none."""
    return str((node.get("spec") or {}).get("providerID") or "").rpartition("/")[2]
