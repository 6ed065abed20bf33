"""When a soak of the story has seen enough, and what its claims take for proof."""

from dataclasses import replace

import pytest

from pulumi_nodepools.soak.evidence import Boot, Evidence, Runs, Subject
from pulumi_nodepools.soak.model import Hit
from sandbox import claims
from sandbox.story import soaking
from sandbox.story.soak import KERNEL_LINE

BOOT = Boot("n", "u", "b", "3.10", since=0.0, until=60.0, watched=60.0)
CLEAN = Evidence(
    Subject("worker", "7.7", "ami-1", "sha256:1"),
    0.0,
    90.0,
    boots=(BOOT,),
    runs={"canary": Runs(8, 0), "baseline": Runs(8, 3)},
)
HIT = Hit(set="kmem", signature="k-cache-create", weight="definite", line=KERNEL_LINE, node="n", at=5.0, source="")
FOUND = replace(CLEAN, runs={"canary": Runs(8, 2)}, counts={"kmem/k-cache-create": 2}, hits=(HIT,))
TOLD = f"worker 7.7 has not passed its soak, nothing was changed:\n  kmem/k-cache-create on n: {KERNEL_LINE}"
PASSED = {"outcome": "passed", "watchedSeconds": 60}


def test_the_bug_is_shown_by_a_definite_signature_and_a_failed_run() -> None:
    assert soaking.shows_the_bug(FOUND)
    assert not soaking.shows_the_bug(CLEAN)
    assert not soaking.shows_the_bug(replace(FOUND, runs={"canary": Runs(8, 0)}))


@pytest.mark.parametrize(
    "short",
    [
        replace(CLEAN, boots=(replace(BOOT, watched=59.0),)),
        replace(CLEAN, boots=()),
        replace(CLEAN, runs={"canary": Runs(8, 0), "baseline": Runs(3, 0)}),
        replace(CLEAN, runs={"canary": Runs(3, 0), "baseline": Runs(8, 0)}),
    ],
)
def test_time_and_runs_on_both_sides_are_waited_for(short: Evidence) -> None:
    enough = soaking.watched(60, 4)
    assert enough(CLEAN)
    assert not enough(short)


@pytest.mark.parametrize("missing", ["has not passed", "kmem/k-cache-create", KERNEL_LINE])
def test_a_refusal_without_its_reason_its_signature_or_its_line_is_none(missing: str) -> None:
    assert claims.refused(FOUND, TOLD).held
    assert not claims.refused(FOUND, TOLD.replace(missing, "...")).held


def test_a_refusal_without_evidence_of_the_bug_is_none() -> None:
    assert not claims.refused(CLEAN, TOLD).held


def test_a_passed_soak_needs_the_gate_enough_runs_and_a_clean_record() -> None:
    claim = claims.passed(PASSED, CLEAN, runs=4)
    assert claim.held
    assert "0 of 8 runs failed, 0 definite signatures" in claim.detail
    assert not claims.passed(PASSED | {"outcome": "overridden"}, CLEAN, runs=4).held
    assert not claims.passed(PASSED, CLEAN, runs=9).held
    assert not claims.passed(PASSED, FOUND, runs=4).held
    assert not claims.passed(PASSED, replace(CLEAN, hits=(HIT,)), runs=4).held


def test_the_verdict_over_evidence_is_the_gates_own() -> None:
    assert soaking.judged(CLEAN, 60, 4)["outcome"] == "passed"
    body = soaking.judged(FOUND, 60, 4)
    assert body["outcome"] == "refused"
    assert KERNEL_LINE in body["missing"][0]
