"""Kubernetes Events as lines: the message of a kernel watcher is the kernel's own line."""

from collections.abc import Mapping
from typing import Any

from pulumi_nodepools.soak import stamps
from pulumi_nodepools.soak.lines import clean
from pulumi_nodepools.soak.model import Line

KERNEL_WATCHER = "kernel-monitor"
"""The source that node-problem-detector names when it has read the kernel log."""


def line(event: Mapping[str, Any]) -> Line:
    """One Event; its time is the latest that it names."""
    about = event.get("involvedObject") or {}
    reporter = event.get("source") or {}
    component = str(event.get("reportingComponent") or reporter.get("component") or "")
    node = str(reporter.get("host") or "") or (str(about.get("name", "")) if about.get("kind") == "Node" else "")
    where = "/".join(str(part) for part in (about.get("namespace"), about.get("name")) if part)
    return Line(
        text=clean(str(event.get("message") or "")),
        kind="kernel" if component.endswith(KERNEL_WATCHER) else "program",
        node=node,
        at=_latest(event),
        source=f"event {event.get('reason', '')} of {about.get('kind', 'object')} {where}",
    )


def _latest(event: Mapping[str, Any]) -> float | None:
    stated = (
        (event.get("series") or {}).get("lastObservedTime"),
        *(event.get(key) for key in ("lastTimestamp", "eventTime", "firstTimestamp")),
    )
    for text in stated:
        try:
            return stamps.iso_seconds(str(text))
        except ValueError:
            continue
    return None
