"""Kubernetes Events about a drain, for everyone in the cluster who does not see this run.

Best effort: they are written beside the drain, one at a time and not without end. A lost Event is no failure, and the
first refusal for lack of rights ends them. What is worth one is the drain's own words.
"""

import queue
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.drain.events import Action, CordonNode, Say
from pulumi_nodepools.drain.model import Diagnosis, NodeView, PodView
from pulumi_nodepools.drain.world import World
from pulumi_nodepools.errors import AccessDeniedError, NodePoolsError

MOST = 1000
"""Events of one drain: two for each of 500 nodes."""
_FAREWELL = 1.0
"""Seconds that the end of a drain waits for the last of them."""
_NOTE = 1024
"""The API server takes notes up to here."""
_NODE_REASONS = {
    "node-drained": ("Drained", "Normal"),
    "node-skipped": ("DrainSkipped", "Warning"),
    "node-refused": ("DrainRefused", "Warning"),
    "forced": ("DrainForced", "Warning"),
    "returned": ("DrainUndone", "Warning"),
}


class Announcer(threading.Thread):
    """Writes Events about the nodes and pods of one drain until it is closed."""

    def __init__(self, client: Client, world: World, owner: str) -> None:
        super().__init__(name="announcer", daemon=True)
        self._client = client
        self._world = world
        self._owner = owner
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._told: set[tuple[str, str]] = set()

    def saw(self, action: Action) -> None:
        """Tell of an action if it concerns a node."""
        match action:
            case CordonNode(name):
                self._tell(self._world.nodes.get(name), "DrainStarted", "Normal", f"cordoned by {self._owner}")
            case Say(kind, node, message) if kind in _NODE_REASONS:
                self._tell(self._world.nodes.get(node), *_NODE_REASONS[kind], message)

    def blocked(self, diagnoses: Iterable[Diagnosis]) -> None:
        """Tell of pods that do not leave, each reason once."""
        for one in diagnoses:
            kind, _, path = one.object.partition(" ")
            pod = self._world.find(*path.split("/", 1)) if kind == "pod" and "/" in path else None
            if not _passes(one):
                self._tell(pod, "DrainBlocked", "Warning", f"{one.reason}: {one.message}. Fix: {one.fix}", one.reason)

    def _tell(self, about: NodeView | PodView | None, reason: str, kind: str, note: str, detail: str = "") -> None:
        key = (about.uid if about else "", detail or note)
        if about is None or key in self._told or len(self._told) >= MOST:
            return
        self._told.add(key)
        self._queue.put(_event(about, reason, kind, note, self._owner))

    def run(self) -> None:
        """Write one after the other."""
        while (event := self._queue.get()) is not None:
            path = f"/apis/events.k8s.io/v1/namespaces/{event['metadata']['namespace']}/events"
            try:
                self._client.create(path, event)
            except AccessDeniedError:
                return
            except NodePoolsError:
                continue

    def close(self) -> None:
        """Wait a moment for what is still to be written."""
        self._queue.put(None)
        if self.is_alive():
            self.join(_FAREWELL)


def _passes(one: Diagnosis) -> bool:
    """Held by nothing: its turn comes, or it ends in its own time. An Event for each would double the requests."""
    return one.reason == "waiting" or "graceLeftSeconds" in one.numbers


def _event(about: NodeView | PodView, reason: str, kind: str, note: str, owner: str) -> dict[str, Any]:
    # Events about what has no namespace live in `default`.
    namespace = about.namespace if isinstance(about, PodView) else "default"
    regarding = {"apiVersion": "v1", "name": about.name, "uid": about.uid}
    regarding |= {"kind": "Pod", "namespace": namespace} if isinstance(about, PodView) else {"kind": "Node"}
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": "nodepools-drain-", "namespace": namespace},
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": kind,
        "reason": reason,
        "action": "Drain",
        "note": note.encode()[:_NOTE].decode(errors="ignore"),
        "reportingController": "nodepools.dev/drain",
        "reportingInstance": owner[:128],
        "regarding": regarding,
    }
