"""What a drain would do now, without doing it: each pod's fate, what blocks, whether the rest has room."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from pulumi_nodepools.cluster import objects
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.drain.classify import classify
from pulumi_nodepools.drain.model import DrainSettings, NodeView, WorldView
from pulumi_nodepools.errors import CapacityError


class _Pods(msgspec.Struct):
    items: list[objects.RawPod] = []


class _Nodes(msgspec.Struct):
    items: list[objects.RawNode] = []


def look(client: Client) -> WorldView:
    """All nodes and pods as they are now."""
    nodes = [page for raw in client.list_raw("/api/v1/nodes") for page in msgspec.json.decode(raw, type=_Nodes).items]
    pods = [page for raw in client.list_raw("/api/v1/pods") for page in msgspec.json.decode(raw, type=_Pods).items]
    return WorldView([objects.node_view(raw) for raw in nodes], [objects.pod_view(raw) for raw in pods])


def plan(
    world: WorldView,
    matches: Callable[[NodeView], bool],
    settings: DrainSettings,
    guard: Callable[[WorldView], None],
) -> dict[str, Any]:
    """The document of `drain --dry-run`: outcome `drainable` or `blocked`, and why. `guard`: the drain's own."""
    names = sorted(node.name for node in world.nodes if matches(node))
    verdicts = [(pod, classify(pod, settings, time.time())) for pod in world.pods if pod.node in set(names)]
    diagnosis = [
        _entry(verdict.reason, pod.path, pod.node, "can never leave by itself")
        for pod, verdict in verdicts
        if verdict.action == "block"
    ]
    try:
        guard(world)
    except CapacityError as error:
        diagnosis.append(_entry("refused", "", "", str(error)))
    return {
        "schemaVersion": 1,
        "command": "drain --dry-run",
        "outcome": "blocked" if diagnosis else "drainable",
        "nodes": names,
        "pods": dict(Counter(verdict.action for _, verdict in verdicts)),
        "evict": sorted(pod.path for pod, verdict in verdicts if verdict.action == "evict"),
        "diagnosis": diagnosis,
    }


def _entry(reason: str, thing: str, node: str, message: str) -> dict[str, Any]:
    return {"reason": reason, "object": thing, "node": node, "message": message, "fix": "", "numbers": {}}
