"""How a soak gate comes to its answer: evidence from the cluster, the pure verdict, exemptions, and the report."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pulumi_nodepools import report
from pulumi_nodepools.cluster.evidence import evidence_text
from pulumi_nodepools.errors import SoakError
from pulumi_nodepools.hooks.place import PlaceProps, open_place
from pulumi_nodepools.hooks.progress import Engine
from pulumi_nodepools.hooks.provider import decoded, plain
from pulumi_nodepools.soak import compare
from pulumi_nodepools.soak.document import EvidenceError, read
from pulumi_nodepools.soak.evidence import Evidence, Runs, Subject
from pulumi_nodepools.soak.verdict import Verdict, Wanted, judge


@dataclass(frozen=True)
class Judgement:
    """A verdict and what the user has said about it."""

    subject: Subject
    verdict: Verdict
    evidence: Evidence | None = None
    override: str = ""
    exempt: str = ""

    @property
    def refusal(self) -> str:
        """Why the version may not be promoted; "" if it may."""
        if self.verdict.passed or self.override or self.exempt:
            return ""
        pool, version = self.subject.pool, self.subject.version
        lines = "\n".join(f"  {missing}" for missing in self.verdict.missing)
        return (
            f"{pool} {version} has not passed its soak, nothing was changed:\n{lines}\n"
            f"Keep it as a canary until then. To promote it all the same, write soak: "
            f'{{override: {{version: "{version}", reason: "..."}}}}; the reason is kept in the state and the report'
        )

    @property
    def outcome(self) -> str:
        """How it was settled, in one word."""
        if self.exempt:
            return "exempt"
        if self.verdict.passed:
            return "passed"
        return "overridden" if self.override else "refused"

    def to_json(self) -> dict[str, Any]:
        """The verdict as it stands in the state and in the report."""
        runs = self.evidence.runs if self.evidence else {}
        before, after = runs.get("baseline", Runs()), runs.get("canary", Runs())
        return {
            "schemaVersion": 1,
            "kind": "soak",
            "pool": self.subject.pool,
            "version": self.subject.version,
            "image": self.subject.image,
            "outcome": self.outcome,
            "reason": self.exempt or self.override,
            "missing": list(self.verdict.missing),
            "doubts": list(self.verdict.doubts),
            "watchedSeconds": round(self.verdict.watched),
            "gapSeconds": round(self.evidence.gap_seconds) if self.evidence else 0,
            "comparison": comparison(before, after),
        }


def comparison(before: Runs, after: Runs) -> dict[str, Any]:
    """The same job on the old nodes and on the canary: counts, failure rates and by how much they fell, with bounds."""
    fell = compare.fewer(before, after)
    return {
        "before": _rated(before),
        "after": _rated(after),
        "fewer": asdict(fell) if fell else None,
        "confidence": 0.95,
    }


@dataclass(frozen=True)
class SoakProps:
    """What a soak has to show, or why nothing is asked of it."""

    place: PlaceProps
    wanted: Wanted
    windows: Mapping[str, float]
    exempt: str
    override: str

    @classmethod
    @decoded
    def read(cls, props: Mapping[str, Any]) -> "SoakProps":
        """Decode; ConfigError if they cannot be."""
        place, raw = PlaceProps.read(props), plain(dict(props))
        subject = Subject(place.pool, place.version, str(raw["image"]), str(raw["spec"]))
        return cls(
            place,
            Wanted(
                subject,
                float(raw.get("duration") or 0),
                int(raw.get("runs") or 0),
                float(raw.get("failureRate") or 0),
            ),
            {str(name): float(seconds) for name, seconds in (raw.get("windows") or {}).items()},
            str(raw.get("exempt") or ""),
            str(raw.get("override") or ""),
        )


def judged(props: Mapping[str, Any]) -> Judgement:
    """Judge the evidence that is in the cluster now. IdentityError if it is another cluster."""
    asked = SoakProps.read(props)
    place, subject, override = asked.place, asked.wanted.subject, asked.override
    if asked.exempt:
        return Judgement(subject, Verdict(()), exempt=asked.exempt)
    text = evidence_text(open_place(place).client, place.pool, place.version)
    try:
        evidence = read(text) if text is not None else None
    except EvidenceError as error:
        return Judgement(subject, Verdict((str(error),)), override=override)
    return Judgement(subject, judge(evidence, asked.wanted, asked.windows), evidence, override)


def settle(props: Mapping[str, Any], engine: Engine) -> dict[str, Any]:
    """Judge for good: SoakError if the version may not be promoted; the verdict for the state, told and reported."""
    judgement = judged(props)
    if refusal := judgement.refusal:
        raise SoakError(refusal)
    body = judgement.to_json()
    urn = str(props.get("urn") or "")
    if judgement.outcome == "overridden":
        missing = "; ".join(judgement.verdict.missing)
        engine.warn(urn, f"promoted without a passed soak ({judgement.override}): {missing}")
    for doubt in judgement.verdict.doubts:
        engine.warn(urn, doubt)
    report.save_if_wanted(f"{judgement.subject.pool}/{judgement.subject.version}", body, kind="soak")
    return body


def _rated(seen: Runs) -> dict[str, Any]:
    found = compare.rate(seen)
    return {"runs": seen.runs, "failures": seen.failures, "rate": asdict(found) if found else None}
