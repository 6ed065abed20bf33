"""What a soak has seen so far, and how one more look changes it. Bounded in size; counts and times stay exact.

Time counts as watched only where two looks in a row saw the same boot of a canary node, everything could be read, and
both clocks agree on how long it was. All else is a gap with a reason. Kernel memory leaks with a node's uptime, and a
reboot frees it: so the time is counted per boot, and a node that was replaced or rebooted begins anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pulumi_nodepools.soak.correlate import Anchors
from pulumi_nodepools.soak.model import Hit

Group = Literal["canary", "baseline"]
"""Runs on the new nodes, and the same job on the old ones meanwhile."""
GROUPS: tuple[Group, ...] = ("canary", "baseline")
_HITS = 20
"""Kept of each signature and weight."""
_GAPS = 100
_FAILURES = 30
_BOOTS = 50
_JUMP = 2.0
"""Seconds by which two clocks may differ over one look."""
_MESSAGE = 300


@dataclass(frozen=True)
class Subject:
    """What is soaked: a version, its image and the digest of what the user wrote of it."""

    pool: str
    version: str
    image: str
    spec: str


@dataclass(frozen=True)
class Boot:
    """One boot of a canary node and the seconds that it was watched."""

    node: str
    uid: str
    boot: str
    kernel: str
    since: float
    until: float
    watched: float = 0.0

    @property
    def identity(self) -> tuple[str, str, str]:
        """What stays the same as long as the node neither reboots nor is replaced."""
        return self.node, self.uid, self.boot


@dataclass(frozen=True)
class Gap:
    """Time that does not count. `end` before `begin` is a clock that went back."""

    begin: float
    end: float
    reason: str


@dataclass(frozen=True)
class Run:
    """One finished run of the soak's job."""

    uid: str
    group: Group
    failed: bool
    pod: str
    node: str
    at: float
    message: str = ""


@dataclass(frozen=True)
class Runs:
    """How many runs of a group have ended, and how many of them failed."""

    runs: int = 0
    failures: int = 0


@dataclass(frozen=True)
class Look:
    """One look at everything: from the end of the last one (`begin`) to `end` by the wall clock, `seconds` by a clock
    that nobody sets. `missing` says why the time does not count; `present` are the pods that are there."""

    begin: float
    end: float
    seconds: float
    boots: Sequence[Boot] = ()
    missing: str = ""
    runs: Sequence[Run] = ()
    present: frozenset[str] = frozenset()
    hits: Sequence[Hit] = ()
    cursors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """Everything seen of one subject. `cursors` say how far each log was read, `counted` which pods were counted."""

    subject: Subject
    began: float
    updated: float
    boots: tuple[Boot, ...] = ()
    gaps: tuple[Gap, ...] = ()
    gap_seconds: float = 0.0
    runs: Mapping[Group, Runs] = field(default_factory=dict)
    failures: tuple[Run, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    hits: tuple[Hit, ...] = ()
    cursors: Mapping[str, str] = field(default_factory=dict)
    counted: frozenset[str] = frozenset()
    seen: frozenset[tuple[str, str, str]] = frozenset()
    """The boots that the last look saw: only those can go on."""

    def after(self, look: Look, windows: Mapping[str, float]) -> "Evidence":
        """The evidence with one more look; `windows` are the correlation windows of the signature sets in seconds."""
        fresh = [run for run in look.runs if run.uid not in self.counted]
        reason = look.missing or _clocks(look) or ("" if look.boots else "no canary node is ready")
        counted = (self.counted | {run.uid for run in fresh}) & look.present
        failures = (*self.failures, *(_short(run) for run in fresh if run.failed))
        return replace(
            self.gapped(look.begin, look.end, reason) if reason else self,
            updated=look.end,
            boots=self._watched(look, counts=not reason),
            seen=frozenset(boot.identity for boot in look.boots),
            runs={group: _more(self.runs.get(group, Runs()), group, fresh) for group in GROUPS},
            failures=failures[-_FAILURES:],
            counts=_counted(self.counts, look.hits),
            hits=bounded((*self.hits, *look.hits), windows, look.end),
            cursors=dict(look.cursors),
            counted=counted,
        )

    def gapped(self, begin: float, end: float, reason: str) -> "Evidence":
        """The evidence with time that does not count; a gap that goes on is one gap."""
        last = self.gaps[-1] if self.gaps else None
        if last and last.reason == reason and last.end == begin:
            gaps = (*self.gaps[:-1], replace(last, end=end))
        else:
            gaps = (*self.gaps, Gap(begin, end, reason))
        return replace(self, gaps=gaps[-_GAPS:], gap_seconds=self.gap_seconds + max(0.0, end - begin), updated=end)

    def _watched(self, look: Look, *, counts: bool) -> tuple[Boot, ...]:
        boots = {boot.identity: boot for boot in self.boots}
        for seen in look.boots:
            known = boots.get(seen.identity)
            if known is None:
                boots[seen.identity] = replace(seen, since=look.end, until=look.end, watched=0.0)
            elif counts and seen.identity in self.seen:
                seconds = min(look.seconds, look.end - look.begin)
                boots[seen.identity] = replace(known, until=look.end, watched=known.watched + seconds)
        # The longest-watched ones decide; which came first does not.
        return tuple(sorted(boots.values(), key=lambda boot: -boot.watched)[:_BOOTS])


def bounded(hits: Iterable[Hit], windows: Mapping[str, float], now: float) -> tuple[Hit, ...]:
    """At most so many hits of each signature and weight, those near an anchor first; old noise goes."""
    known = list(dict.fromkeys(hits))
    anchors = Anchors(known)
    kept: dict[tuple[str, str, str], list[tuple[bool, float, Hit]]] = {}
    for hit in known:
        window = windows.get(hit.set, 0.0)
        raised = bool(hit.raised and anchors.near(hit, window))
        at = now if hit.at is None else hit.at
        if hit.weight != "noise" or raised or at >= now - 2 * window:
            kept.setdefault((hit.set, hit.signature, hit.weight), []).append((not raised, at, hit))
    chosen = [entry for group in kept.values() for entry in sorted(group, key=lambda one: one[:2])[:_HITS]]
    return tuple(hit for _, _, hit in sorted(chosen, key=lambda one: one[1]))


def _clocks(look: Look) -> str:
    jump = (look.end - look.begin) - look.seconds
    return f"the clock jumped by {jump:+.0f} s" if abs(jump) > _JUMP else ""


def _more(before: Runs, group: Group, fresh: Sequence[Run]) -> Runs:
    ended = [run for run in fresh if run.group == group]
    return Runs(before.runs + len(ended), before.failures + sum(run.failed for run in ended))


def _counted(counts: Mapping[str, int], hits: Sequence[Hit]) -> dict[str, int]:
    more = dict(counts)
    for hit in hits:
        key = f"{hit.set}/{hit.signature}"
        more[key] = more.get(key, 0) + 1
    return more


def _short(run: Run) -> Run:
    return replace(run, message=run.message[:_MESSAGE])
