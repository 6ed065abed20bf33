"""Is the evidence enough to promote? The answer is yes, or everything that is missing, in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pulumi_nodepools.soak.correlate import correlate
from pulumi_nodepools.soak.evidence import Boot, Evidence, Runs, Subject
from pulumi_nodepools.soak.model import Hit
from pulumi_nodepools.soak.stamps import iso_text

_SHOWN = 5


@dataclass(frozen=True)
class Wanted:
    """What promotion asks for: seconds watched, runs, and the highest share of failed runs (0 to 1)."""

    subject: Subject
    duration: float
    runs: int
    failure_rate: float


@dataclass(frozen=True)
class Verdict:
    """`missing` is empty when the soak is passed. `doubts` do not stand in the way."""

    missing: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    watched: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.missing


def judge(evidence: Evidence | None, wanted: Wanted, windows: Mapping[str, float]) -> Verdict:
    """Judge without looking at any clock: what was watched stays watched. `windows` as for the evidence."""
    if evidence is None:
        return Verdict((f"no evidence yet; it takes {_span(wanted.duration)} and {wanted.runs} runs",))
    other = tuple(_other_subject(evidence.subject, wanted.subject))
    if other:
        return Verdict(other)
    hits = correlate(evidence.hits, windows)
    longest = max(evidence.boots, key=lambda boot: boot.watched, default=None)
    return Verdict(
        missing=(*_signatures(hits), *_duration(evidence, longest, wanted), *_runs(evidence, wanted)),
        doubts=tuple(f"{hit.weight} signature {_hit(hit)}" for hit in hits if hit.weight != "definite")[:_SHOWN],
        watched=longest.watched if longest else 0.0,
    )


def _other_subject(found: Subject, wanted: Subject) -> Iterator[str]:
    names = {"pool": "pool", "version": "version", "image": "image", "spec": "a spec with digest"}
    for field, words in names.items():
        seen, asked = getattr(found, field), getattr(wanted, field)
        if seen != asked:
            yield f"the evidence is of {words} {seen}, but {asked} is to be promoted: soak that one"


def _signatures(hits: list[Hit]) -> Iterator[str]:
    definite = [hit for hit in hits if hit.weight == "definite"]
    if definite:
        lines = "; ".join(_hit(hit) for hit in definite[:_SHOWN])
        more = f"; and {len(definite) - _SHOWN} more" if len(definite) > _SHOWN else ""
        yield f"the canary shows the bug: {lines}{more}. Promote another version, built to remove it"


def _duration(evidence: Evidence, longest: Boot | None, wanted: Wanted) -> Iterator[str]:
    watched = longest.watched if longest else 0.0
    if watched < wanted.duration:
        where = f" on {longest.node}, since {iso_text(longest.since)}" if longest else ""
        more = _span(wanted.duration - watched)
        yield f"watched {_span(watched)} of {_span(wanted.duration)}{where}; {more} more{_gaps(evidence)}"


def _gaps(evidence: Evidence) -> str:
    if not evidence.gaps:
        return ""
    last = evidence.gaps[-1]
    lost = _span(evidence.gap_seconds)
    return f"; {lost} do not count, the last because {last.reason} (at {iso_text(last.end)})"


def _runs(evidence: Evidence, wanted: Wanted) -> Iterator[str]:
    seen = evidence.runs.get("canary", Runs())
    if seen.runs < wanted.runs:
        yield f"{seen.runs} of {wanted.runs} runs ended on the canary; {wanted.runs - seen.runs} more"
    if seen.runs and seen.failures / seen.runs > wanted.failure_rate:
        last = next((run for run in reversed(evidence.failures) if run.group == "canary"), None)
        words = f"; the last: {last.pod} on {last.node} at {iso_text(last.at)}: {last.message}" if last else ""
        rate = f"{seen.failures / seen.runs:.1%}"
        yield f"{seen.failures} of {seen.runs} runs failed ({rate}), at most {wanted.failure_rate:.1%} may{words}"


def _hit(hit: Hit) -> str:
    when = f" at {iso_text(hit.at)}" if hit.at is not None else ""
    return f"{hit.set}/{hit.signature} on {hit.node or 'an unknown node'}{when}: {hit.line}"


def _span(seconds: float) -> str:
    """A duration as people read it, to the second below an hour and to the minute above."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
