"""What a pod's status says: whether it is ready, since when, and if not, why. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec


class _Raw(msgspec.Struct, rename="camel"):
    """Unknown fields are skipped."""


class Condition(_Raw):
    """A condition of a pod, node or budget."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class ContainerStatus(_Raw):
    """A container as its kubelet sees it."""

    name: str = ""
    ready: bool = False
    state: dict[str, Any] | None = None


class PodStatus(_Raw):
    """The part of a status that is looked at."""

    phase: str = "Pending"
    conditions: list[Condition] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    container_statuses: list[ContainerStatus] | None = None
    start_time: str | None = None


def moment(text: str | None) -> float | None:
    """An RFC 3339 time as seconds since the epoch."""
    return None if not text else datetime.fromisoformat(text).timestamp()


def is_ready(status: PodStatus) -> bool:
    """Whether it may serve."""
    return any(one.type == "Ready" and one.status == "True" for one in status.conditions or ())


def ready_since(status: PodStatus) -> float | None:
    """Seconds since the epoch at which it became ready; None while it is not."""
    for condition in status.conditions or ():
        if condition.type == "Ready" and condition.status == "True":
            return moment(condition.last_transition_time)
    return None


def trouble(status: PodStatus) -> str:
    """Why it is not ready, the first cause first: scheduler, containers, readiness gates, probes. Empty if it is."""
    if is_ready(status) or status.phase in ("Succeeded", "Failed"):
        return ""
    return next(_causes(status), "")


def _causes(status: PodStatus) -> Iterator[str]:
    unmet = [one for one in status.conditions or () if one.status == "False"]
    yield from (one.message or one.reason for one in unmet if one.type == "PodScheduled")
    for container in status.init_container_statuses or ():
        yield from _stopped(f"init container {container.name}", container)
    for container in status.container_statuses or ():
        yield from _stopped(f"container {container.name}", container)
    yield from (one.message for one in unmet if one.type == "Ready" and one.reason == "ReadinessGatesNotReady")
    for container in status.container_statuses or ():
        if not container.ready and "running" in (container.state or {}):
            yield f"container {container.name} runs, but its readiness probe has not passed"


def _stopped(what: str, container: ContainerStatus) -> Iterator[str]:
    state = container.state or {}
    waiting, ended = state.get("waiting"), state.get("terminated") or {}
    if waiting:
        # ContainerCreating has no message and is no trouble yet, but all that is known.
        yield ": ".join(part for part in (what, waiting.get("reason", ""), waiting.get("message", "")) if part)
    elif ended.get("exitCode"):
        yield f"{what}: ended with exit code {ended['exitCode']} ({ended.get('reason', '')})"
