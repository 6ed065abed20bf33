"""Pass, or everything that is missing in words; and how sure a comparison is."""

from dataclasses import replace

import pytest

from pulumi_nodepools.soak import compare
from pulumi_nodepools.soak.evidence import Boot, Runs
from pulumi_nodepools.soak.verdict import Wanted, judge
from tests.unit.soak.soak_case import BOOT, CREATE, EOF, NOON, SUBJECT, WINDOWS, after, begun, run

HOUR = 3600.0
WANTED = Wanted(SUBJECT, 72 * HOUR, 100, 0.01)
GOOD = begun(boots=(replace(BOOT, since=NOON, watched=72 * HOUR),), runs={"canary": Runs(100, 1)})


def judged(evidence, wanted=WANTED):
    return judge(evidence, wanted, WINDOWS)


def test_enough_evidence_passes():
    verdict = judged(GOOD)
    assert (verdict.passed, verdict.missing, verdict.watched) == (True, (), 72 * HOUR)


def test_no_evidence_says_what_it_takes():
    assert judged(None).missing == ("no evidence yet; it takes 72h00m and 100 runs",)


def test_a_second_too_little_is_too_little_and_says_since_when_and_how_much_longer():
    boot = Boot("node07", "u", "b", "k", NOON, NOON, 72 * HOUR - 1)
    (missing,) = judged(replace(GOOD, boots=(boot,))).missing
    assert missing == "watched 71h59m of 72h00m on node07, since 2020-04-28T12:00:00Z; 1s more"


def test_gaps_are_told():
    evidence = after(begun(), {}, {}, {"missing": "the log of soak-1 was rotated"})
    (time, runs) = judged(evidence).missing
    assert "15s of 72h00m" in time
    assert "15s do not count, the last because the log of soak-1 was rotated (at 2020-04-28T12:00:45Z)" in time
    assert runs == "0 of 100 runs ended on the canary; 100 more"


def test_the_time_of_several_boots_is_not_added_up():
    half = [replace(BOOT, boot=f"boot-{index}", watched=40 * HOUR) for index in range(2)]
    assert not judged(replace(GOOD, boots=tuple(half))).passed


def test_one_definite_signature_fails_with_its_line_node_and_time():
    verdict = judged(replace(GOOD, hits=(CREATE, EOF)))
    (missing,) = verdict.missing
    assert CREATE.line in missing
    assert "on node07 at 2020-04-28T12:00:05Z" in missing
    assert verdict.doubts == (f"strong signature kmem/u-runc-eof on node07 at 2020-04-28T12:00:05Z: {EOF.line}",)


def test_many_signatures_are_cut_short():
    hits = tuple(replace(CREATE, at=NOON + index) for index in range(9))
    (missing,) = judged(replace(GOOD, hits=hits)).missing
    assert "and 4 more" in missing
    assert missing.count("kmem/k-cache-create") == 5


def test_weak_signatures_alone_only_raise_doubts():
    verdict = judged(replace(GOOD, hits=(EOF,)))
    assert verdict.passed
    assert verdict.doubts[0].startswith("weak signature kmem/u-runc-eof")


def test_a_failure_rate_above_the_stated_one_fails_with_the_last_failure():
    evidence = replace(GOOD, runs={"canary": Runs(100, 2)}, failures=(run(7, failed=True), run(8, failed=True)))
    (missing,) = judged(evidence).missing
    assert missing.startswith("2 of 100 runs failed (2.0%), at most 1.0% may; the last: soak-8 on node07")


def test_failures_on_old_nodes_do_not_count_against_the_canary():
    assert judged(replace(GOOD, runs={"canary": Runs(100, 0), "baseline": Runs(100, 40)})).passed


@pytest.mark.parametrize("field", ["pool", "version", "image", "spec"])
def test_evidence_of_something_else_is_none(field):
    (missing,) = judged(replace(GOOD, subject=replace(SUBJECT, **{field: "other"}))).missing
    assert "other, but" in missing
    assert getattr(SUBJECT, field) in missing


@pytest.mark.parametrize(
    ("seen", "low", "high"),
    [(Runs(263, 81), 0.2553, 0.3662), (Runs(148, 15), 0.0624, 0.1605), (Runs(20, 0), 0.0, 0.1611)],
)  # fmt: skip
def test_wilson_intervals_are_those_of_the_paper(seen, low, high):
    found = compare.rate(seen)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(
    ("before", "after_", "low", "high"),
    [
        (Runs(70, 56), Runs(80, 48), 0.0524, 0.3339),
        (Runs(10, 9), Runs(10, 3), 0.1705, 0.8090),
        (Runs(56, 5), Runs(29, 0), -0.0381, 0.1926),
        (Runs(10, 10), Runs(10, 0), 0.6075, 1.0),
    ],
)
def test_newcombe_intervals_are_those_of_the_paper(before, after_, low, high):
    found = compare.fewer(before, after_)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_nothing_is_compared_without_runs():
    assert compare.rate(Runs()) is None
    assert compare.fewer(Runs(5, 1), Runs()) is None
