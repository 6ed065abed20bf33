"""The canary nodes: which boots are ready and have their kernel log watched, and what their Events say."""

from collections.abc import Mapping
from typing import Any

from pulumi_nodepools.names import KERNEL_CONDITION
from pulumi_nodepools.soak import stamps
from pulumi_nodepools.soak.evidence import Boot
from pulumi_nodepools.soak.lines import clean
from pulumi_nodepools.soak.model import Line

HEARTBEAT = 900.0
"""Seconds after which a kernel watcher that was not heard of is taken for dead; it is due every five minutes."""


def boot(node: Mapping[str, Any]) -> Boot:
    """The node's present boot."""
    metadata, info = node["metadata"], (node.get("status") or {}).get("nodeInfo") or {}
    return Boot(metadata["name"], metadata["uid"], info.get("bootID", ""), info.get("kernelVersion", ""), 0.0, 0.0)


def missing(node: Mapping[str, Any], now: float) -> str:
    """Why this node cannot be watched now; "" if it can."""
    name = node["metadata"]["name"]
    if _condition(node, "Ready").get("status") != "True":
        return f"node {name} is not ready"
    watcher = _condition(node, KERNEL_CONDITION)
    if not watcher:
        return f"nobody watches the kernel log of node {name} (it has no condition {KERNEL_CONDITION})"
    heard = _seconds(watcher.get("lastHeartbeatTime"))
    if heard is not None and now - heard > HEARTBEAT:
        return f"the watcher of the kernel log of node {name} was last heard of at {stamps.iso_text(heard)}"
    return ""


def kernel_line(node: Mapping[str, Any]) -> Line | None:
    """The line that a kernel watcher has put into the node's condition: Events may be dropped, a condition stays."""
    condition = _condition(node, KERNEL_CONDITION)
    if condition.get("status") != "True":
        return None
    name = node["metadata"]["name"]
    at = _seconds(condition.get("lastTransitionTime"))
    return Line(clean(str(condition.get("message") or "")), "kernel", name, at, f"condition {KERNEL_CONDITION}")


def _condition(node: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    conditions = (node.get("status") or {}).get("conditions") or []
    found: Mapping[str, Any] = next((one for one in conditions if one["type"] == kind), {})
    return found


def _seconds(text: Any) -> float | None:
    try:
        return stamps.iso_seconds(str(text))
    except ValueError:
        return None
