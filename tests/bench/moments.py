"""Two moments of a drain that waits: how soon a blocked pod is explained, and how soon a budget that frees is used."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.client import Client
from tests.bench.racers import Run
from tests.bench.stage import Stage

_BETWEEN = 2.7
"""Seconds between two budgets that free: no multiple of anybody's polling."""
_SIGNS = ("pdb-", "violate the pod's disruption budget")
"""What a drain says about a pod that its budget holds: ours, and kubectl."""


@dataclass
class Waiting:
    """One drain of a node on which every pod is held by a budget of its own."""

    explained: float | None = None
    """Seconds from the start of the process to the first word about a blocked pod."""
    reactions: list[float] = field(default_factory=list)
    """Seconds from the answer to the change of a budget until its pod terminates."""

    def to_json(self, racer: str) -> dict[str, Any]:
        ordered = sorted(self.reactions)
        return {
            "racer": racer,
            "explainedSeconds": None if self.explained is None else round(self.explained, 2),
            "reactionMedianSeconds": round(ordered[len(ordered) // 2], 3),
            "reactionMaxSeconds": round(ordered[-1], 3),
            "reactions": [round(value, 3) for value in self.reactions],
        }


def waiting(stage: Stage, pool: str, budgets: int, drain: Callable[[Callable[[str], None]], Run]) -> Waiting:
    """Drain one node whose pods are all held, and free one budget after the other once the drain has said so."""
    (node,) = stage.pool(pool, 1, group=pool)
    names = [f"{pool}-{index}" for index in range(budgets)]
    before = len(stage.pods())
    for name in names:
        stage.deployment(name, 1, group=pool)
    stage.wait_ready(before + budgets)
    for name in names:
        stage.budget(name, 1)
    stage.pool(f"{pool}-spare", 1, group=pool)
    found, said, began = Waiting(), threading.Event(), time.monotonic()

    def hear(line: str) -> None:
        if not said.is_set() and any(sign in line for sign in _SIGNS):
            found.explained = time.monotonic() - began
            said.set()

    thread = threading.Thread(target=drain, args=(hear,), daemon=True)
    with _Deletions(stage.plane.kubeconfig) as deletions:
        thread.start()
        if not said.wait(60):
            raise RuntimeError(f"nothing was said of the blocked pods of {node} in a minute")
        for name in names:
            time.sleep(_BETWEEN)
            stage.budget(name, 0)
            answered = time.monotonic()
            stage.wait(lambda name=name: name in deletions.at, f"the end of a pod of {name}")  # type: ignore[misc]
            found.reactions.append(deletions.at[name] - answered)
    thread.join(120)
    return found


class _Deletions:
    """When the first pod of each app was seen to terminate, by a watch of its own."""

    def __init__(self, kubeconfig: Path) -> None:
        self.at: dict[str, float] = {}
        self._client = Client(Access(kind="kubeconfig", path=str(kubeconfig)), timeout=60)
        self._version = self._client.get("/api/v1/pods", limit=1)["metadata"]["resourceVersion"]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "_Deletions":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _run(self) -> None:
        for line in self._client.watch_lines("/api/v1/pods", resource_version=self._version, timeout_seconds=280):
            if self._ended.is_set():
                return
            meta = json.loads(line)["object"]["metadata"]
            if meta.get("deletionTimestamp"):
                self.at.setdefault(meta["labels"]["app"], time.monotonic())
