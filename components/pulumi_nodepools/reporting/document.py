"""The shape of report.json, in one place: what reads a report and what its published schema says are made from it.

Times are seconds since the run began, unless a field says otherwise. Readers pass over fields that they do not know, so
a minor version may add some; anything else is a new schemaVersion.
"""

from typing import Any, Literal

import msgspec

from pulumi_nodepools.errors import ConfigError

SCHEMA_VERSION = 1


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class Span(_Part, frozen=True):
    """From when to when; null where it did not get that far."""

    start: float | None
    end: float | None


class Run(_Part, frozen=True):
    """One drain as a whole. `outcome`: drained, blocked, denied or failed. `startedAt` is in seconds since 1970."""

    owner: str
    outcome: str
    message: str
    started_at: float
    seconds: float


class Phase(_Part, frozen=True):
    """A phase of the drain: sync, guard, taint, cordon, batch, gate, soak or check."""

    name: str
    start: float
    end: float


class Node(_Part, frozen=True):
    """A node. `phase`: waiting, active, done, gone or skipped."""

    phase: str
    cordon: Span
    evict: Span
    lb: Span
    """From the first look at its load balancers until none of them sent it anything new; null if it has none."""
    detach: Span
    """From the moment that it was empty until its volumes were off it; null if none had to be waited for."""
    pods_left: int


class Pod(_Part, frozen=True):
    """A pod that was to leave, from its turn to its accepted eviction. `outcome`: evicted, forced, gone or left."""

    namespace: str
    name: str
    uid: str
    node: str
    attempts: int
    codes: dict[str, int]
    blocked_seconds: float
    budget: str
    evict: Span
    outcome: str


class Skipped(_Part, frozen=True):
    """A pod that stays, and why: daemonset, mirror, finished, …"""

    pod: str
    node: str
    reason: str


class Forced(_Part, frozen=True):
    """A pod that was deleted after the time of its node was up."""

    pod: str
    uid: str
    node: str


class CapacityPoint(_Part, frozen=True):
    """From this moment on: ready and schedulable nodes that go (blue) and that stay or come (green)."""

    at: float
    blue: int
    green: int


class Capacity(_Part, frozen=True):
    """Ready capacity as a timeline of changes. `floor`: below what it must not fall; null where nothing is promised."""

    floor: int | None
    points: list[CapacityPoint]


class Diagnosis(_Part, frozen=True):
    """Why something did not move: reason, object, numbers, and what would help."""

    reason: str
    object: str
    node: str
    message: str
    fix: str
    numbers: dict[str, int | float | str]
    chain: list[str] = []
    """What leads to it, each link caused by the next."""


class Event(_Part, frozen=True):
    """Something worth telling."""

    at: float
    kind: str
    node: str
    message: str


class Drain(_Part, frozen=True, tag_field="kind", tag="drain"):
    """The report of a drain, by a hook or by hand. `diagnosis` is never empty when the exit code was 2."""

    schema_version: Literal[1]
    run: Run
    phases: list[Phase]
    nodes: dict[str, Node]
    pods: list[Pod]
    skipped: list[Skipped]
    forced: list[Forced]
    predicted_interruptions: list[str]
    capacity: Capacity
    diagnosis: list[Diagnosis]
    events: list[Event]
    api_calls: dict[str, dict[str, int]]
    cluster: str = ""
    pool: str = ""
    version: str = ""
    outcome: str = ""
    """`failed` where the command ended with an error; the error is beside it."""
    error: str = ""


class Interruption(_Part, frozen=True):
    """A Service without a ready endpoint, or a violated budget. `ended` is null while it lasts."""

    kind: str
    subject: str
    detail: str
    began: float
    ended: float | None
    predicted: bool


class Claim(_Part, frozen=True):
    """A sentence, whether it held, and the numbers behind it."""

    text: str
    held: bool
    detail: str


class Interval(_Part, frozen=True):
    """An estimate and its bounds, as shares from 0 to 1 (a difference: from -1 to 1)."""

    value: float
    low: float
    high: float


class Runs(_Part, frozen=True):
    """How many runs of a job have ended, how many of them failed, and the share; null without any run."""

    runs: int
    failures: int
    rate: Interval | None


class Comparison(_Part, frozen=True):
    """The same job in the same time on old nodes (before) and on the canary (after). `confidence` is of all bounds."""

    before: Runs
    after: Runs
    fewer: Interval | None
    """By how much the share of failed runs fell; null unless there were runs on both."""
    confidence: float


class Soak(_Part, frozen=True, tag_field="kind", tag="soak"):
    """The report of a soak. `outcome`: passed, refused, overridden or exempt; the last two with their `reason`."""

    schema_version: Literal[1]
    pool: str
    version: str
    image: str
    outcome: str
    reason: str
    missing: list[str]
    """What stood in the way of the promotion, the lines that were found among it."""
    doubts: list[str]
    """What was found and did not stand in the way."""
    watched_seconds: int
    gap_seconds: int
    comparison: Comparison


class Demo(_Part, frozen=True, tag_field="kind", tag="demo"):
    """The report of the demo: its claims, what was recorded from outside, and the reports of its soaks and drains."""

    schema_version: Literal[1]
    claims: list[Claim]
    phases: dict[str, float]
    preview_seconds: float
    up_seconds: float
    recorded_seconds: float
    recorder_gaps: list[str]
    ci_runs: dict[str, tuple[int, int]]
    """For unpatched and patched nodes: how often the CI job ran, and how often it failed."""
    interruptions: list[Interruption]
    predicted_interruptions: list[str]
    capacity: Capacity
    drains: list[Drain]
    soaks: list[Soak] = []


class Failure(_Part, frozen=True, tag_field="kind", tag="failure"):
    """What a command says that ended before there was anything to report."""

    schema_version: Literal[1]
    outcome: Literal["failed"]
    error: str
    diagnosis: list[Diagnosis]


Document = Drain | Demo | Soak | Failure


def read(name: str, text: bytes) -> Document:
    """The report in a file called `name`; ConfigError says what is wrong with it, and where."""
    try:
        found: Document = msgspec.json.decode(text, type=Document)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(
            f"{name} is not a report of schemaVersion {SCHEMA_VERSION}: {error}. Reports are what "
            "`drain --output json` prints and what NODEPOOLS_REPORT_DIR collects"
        ) from None
    return found


def schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of report.json."""
    made = msgspec.json.schema(Document)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"report.json of pulumi-nodepools, schemaVersion {SCHEMA_VERSION}",
        **made,
    }
