"""What must hold over a whole roll, whatever met it, judged from what was seen from the outside. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pulumi_nodepools import names
from sandbox.recorder import Interruption

KINDS = (
    "interruption",
    "capacity",
    "eviction",
    "blind",
    "not-empty",
    "aws-request",
    "left-over",
    "deadline",
    "undocumented-end",
    "gave-up",
    "not-resumed",
    "unwatched",
)
_AFTERMATH = 15.0
"""Seconds after a node's death in which its pods may be missed."""
_PATIENCE = 35.0
"""Seconds by which a step may outlive its own deadline: the longest that one request may hang, and then some."""


@dataclass(frozen=True)
class Violation:
    """One thing that must never be."""

    kind: str
    detail: str


@dataclass(frozen=True)
class Death:
    """A node that a fault killed, and the Services and budgets whose pods ran on it."""

    node: str
    time: float
    subjects: frozenset[str]


@dataclass(frozen=True)
class Run:
    """One process that rolled. `code` is its exit code, negative for the signal that killed it."""

    code: int
    output: str

    @property
    def seconds(self) -> dict[str, float]:
        """How long each step took that came to an end, good or bad."""
        return {name: float(time) for name, time in re.findall(r"^took (\w+) ([\d.]+)$", self.output, re.MULTILINE)}

    @property
    def end(self) -> str:
        """done, stopped (an expected failure), killed or crashed."""
        return {0: "done", 2: "stopped", -9: "killed"}.get(self.code, "crashed")


@dataclass
class Story:
    """One roll as it was seen."""

    size: int
    limits: Mapping[str, float]
    """The deadline of each step, in seconds."""
    passing: bool = False
    """Whether the first run met nothing but what passes by itself, within its deadlines."""
    runs: list[Run] = field(default_factory=list)
    interruptions: list[Interruption] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)
    lowest_ready: int = 0
    gaps: list[str] = field(default_factory=list)
    not_played: list[str] = field(default_factory=list)
    """Faults that were half acted out: whatever came of it is not what the schedule says."""
    requests: list[str] = field(default_factory=list)
    """What the audit log holds against us (tests/apiserver/request_log.py)."""
    lost: list[str] = field(default_factory=list)
    """Evictions whose answer never came back: asking again is right."""
    blindly: list[str] = field(default_factory=list)
    """Evictions that were asked for while the run could not see (`watches`)."""
    aws: list[str] = field(default_factory=list)
    """What AWS's own log of requests holds against the roll (`aws_log`)."""
    not_empty: list[str] = field(default_factory=list)
    """Pods on nodes that a hook had called empty."""
    left_over: list[str] = field(default_factory=list)


def violations(story: Story) -> list[Violation]:
    """Everything that should not have been."""
    return [
        *_interruptions(story),
        *_capacity(story),
        *(Violation("eviction", line) for line in story.requests if not _asked_again(line, story.lost)),
        *(Violation("blind", line) for line in story.blindly),
        *(Violation("aws-request", line) for line in story.aws),
        *(Violation("not-empty", f"{pod} was on a node that the hook called empty") for pod in story.not_empty),
        *(Violation("left-over", what) for what in story.left_over),
        *_ends(story),
        *(Violation("unwatched", f"the recorder missed something: {gap}") for gap in story.gaps),
        *(Violation("unwatched", f"a fault could not be played: {fault}") for fault in story.not_played),
    ]


def _interruptions(story: Story) -> Iterable[Violation]:
    for one in story.interruptions:
        died = any(
            one.subject in death.subjects and death.time - 1 <= one.began <= death.time + _AFTERMATH
            for death in story.deaths
        )
        if not died:
            yield Violation("interruption", f"{one.kind} {one.subject}: {one.detail}")


def _capacity(story: Story) -> Iterable[Violation]:
    floor = story.size - len(story.deaths)
    if story.lowest_ready < floor:
        yield Violation(
            "capacity", f"{story.lowest_ready} nodes were ready and schedulable, at least {floor} had to be"
        )


def _asked_again(line: str, lost: Sequence[str]) -> bool:
    return "accepted before" in line and any(path in line for path in lost)


def _ends(story: Story) -> Iterable[Violation]:
    for number, run in enumerate(story.runs, 1):
        if run.end == "crashed" or "Traceback" in run.output:
            yield Violation("undocumented-end", f"run {number} ended with {run.code}: {run.output[-2000:]}")
        for step, seconds in run.seconds.items():
            if seconds > story.limits[step] + _PATIENCE:
                yield Violation(
                    "deadline", f"{step} took {seconds:.0f} s in run {number}, {story.limits[step]:.0f} s allowed"
                )
    if story.passing and story.runs and story.runs[0].end != "done":
        yield Violation("gave-up", f"every fault would have passed, but the run ended: {story.runs[0].output[-2000:]}")
    if not story.runs or story.runs[-1].end != "done":
        last = story.runs[-1].output[-2000:] if story.runs else "nothing ran"
        yield Violation("not-resumed", f"the last run, which met no fault, did not come to its end: {last}")


def leftovers(
    pool: str,
    serving: str,
    *,
    nodes: Sequence[Mapping[str, Any]],
    groups: Mapping[str, Mapping[str, Any]],
    record: Mapping[str, Any],
    holder: str,
) -> list[str]:
    """What a finished roll has left behind on the nodes and the group that serve, in the record and in its Lease."""
    found = [f"the Lease is held by {holder}"] if holder else []
    if record.get("serving") != serving:
        found.append(f"the record says that {record.get('serving')} serves, not {serving}")
    if record.get("pending"):
        found.append(f"the record still waits for the switch to {record['pending']}")
    for node in nodes:
        found += _marks(node)
    for version, group in groups.items():
        found += _held(version == serving, group, record.get("frozen") or {})
    if serving not in groups:
        found.append(f"{pool} {serving} has no group")
    return found


def _marks(node: Mapping[str, Any]) -> Iterable[str]:
    name, metadata, spec = node["metadata"]["name"], node["metadata"], node.get("spec", {})
    if spec.get("unschedulable"):
        yield f"node {name} is cordoned"
    if any(taint["key"] == names.DRAINING_TAINT for taint in spec.get("taints") or ()):
        yield f"node {name} has the taint {names.DRAINING_TAINT}"
    if names.OWNER_ANNOTATION in (metadata.get("annotations") or {}):
        yield f"node {name} has the annotation {names.OWNER_ANNOTATION}"
    for label in (names.QUARANTINE_LABEL, names.EXCLUSION_LABEL):
        if label in (metadata.get("labels") or {}):
            yield f"node {name} has the label {label}"


def _held(serves: bool, group: Mapping[str, Any], frozen: Mapping[str, Any]) -> Iterable[str]:
    name, suspended = group["AutoScalingGroupName"], group["SuspendedProcesses"]
    pinned = group["MinSize"] == group["MaxSize"]
    if serves and suspended:
        yield f"group {name} has {', '.join(entry['ProcessName'] for entry in suspended)} suspended"
    if serves and (pinned or name in frozen):
        yield f"group {name} is still held at {group['MinSize']} to {group['MaxSize']}"
    if not serves and not (pinned and suspended and name in frozen):
        yield f"group {name} stands by and is not frozen"
