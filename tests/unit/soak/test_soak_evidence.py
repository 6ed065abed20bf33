"""What one more look makes of the evidence: time, runs, hits, and how it stays small."""

from dataclasses import replace

import pytest

from pulumi_nodepools.soak.correlate import correlate
from pulumi_nodepools.soak.document import EvidenceError, digest, read, spec_digest, write
from pulumi_nodepools.soak.evidence import Runs
from tests.unit.soak.soak_case import BOOT, CREATE, EOF, FIFO, NOON, WINDOWS, after, begun, run


def watched(evidence):
    return {boot.node: boot.watched for boot in evidence.boots}


def test_time_counts_between_looks_that_see_the_same_boot():
    assert watched(after(begun(), times=1)) == {"node07": 0.0}, "one look is no span"
    evidence = after(begun(), times=5)
    assert watched(evidence) == {"node07": 60.0}
    assert evidence.gaps == ()


@pytest.mark.parametrize(
    "other", [replace(BOOT, boot="boot-2"), replace(BOOT, uid="uid-2"), replace(BOOT, node="node08")]
)
def test_a_reboot_or_a_new_node_begins_anew(other):
    evidence = after(begun(), {}, {}, {}, {"boots": [other]}, {"boots": [other]})
    assert sorted(boot.watched for boot in evidence.boots) == [15.0, 30.0]


def test_a_node_that_was_away_for_one_look_does_not_count_the_time_in_between():
    evidence = after(begun(), {}, {}, {"boots": []}, {}, {})
    assert watched(evidence) == {"node07": 30.0}
    assert [gap.reason for gap in evidence.gaps] == ["no canary node is ready"]
    assert evidence.gap_seconds == 15.0


def test_what_could_not_be_read_does_not_count_and_goes_on_as_one_gap():
    evidence = after(begun(), {}, {"missing": "x"}, {"missing": "x"}, {"missing": "y"})
    assert [(gap.reason, gap.end - gap.begin) for gap in evidence.gaps] == [("x", 30.0), ("y", 15.0)]
    assert watched(evidence) == {"node07": 0.0}


@pytest.mark.parametrize(("end", "words"), [(3600.0, "+3585 s"), (-3600.0, "-3615 s")])
def test_a_clock_that_jumps_is_a_gap_and_adds_nothing(end, words):
    evidence = after(begun(), times=2)
    before = watched(evidence)
    jumped = after(evidence, {"end": evidence.updated + end, "seconds": 15.0})
    assert watched(jumped) == before
    assert words in jumped.gaps[-1].reason
    assert watched(after(jumped)) == {"node07": before["node07"] + 15.0}, "goes on by the new clock"
    assert jumped.gap_seconds >= 0


def test_a_run_is_counted_once_however_often_its_pod_is_seen():
    seen = {"runs": [run(1), run(2, failed=True)], "present": frozenset({"uid-1", "uid-2"})}
    evidence = after(begun(), seen, seen)
    assert evidence.runs["canary"] == Runs(2, 1)
    assert [one.pod for one in evidence.failures] == ["soak-2"]
    gone = after(evidence, {"runs": [run(3, group="baseline", failed=True)], "present": frozenset({"uid-3"})})
    assert (gone.runs["canary"], gone.runs["baseline"]) == (Runs(2, 1), Runs(1, 1))
    assert gone.counted == {"uid-3"}, "pods that are gone need not be remembered"


def test_runs_are_counted_in_gaps_too():
    evidence = after(begun(), {"missing": "x", "runs": [run(1, failed=True)], "present": frozenset({"uid-1"})})
    assert evidence.runs["canary"] == Runs(1, 1)


def test_noise_is_kept_only_while_an_anchor_may_still_come():
    evidence = after(begun(), {"hits": [FIFO]})
    assert evidence.hits == (FIFO,)
    assert after(evidence, times=10).hits == ()
    raised = after(evidence, {"hits": [CREATE]}, *[{}] * 10)
    assert [hit.weight for hit in correlate(raised.hits, WINDOWS)] == ["weak", "definite"]


def test_a_flood_leaves_counts_exact_the_document_small_and_the_raised_ones_in_it():
    flood = [replace(EOF, at=NOON - 5000 + index, line=f"{index} " + "x" * 490) for index in range(4000)]
    evidence = after(begun(), {"hits": [*flood, CREATE, EOF]})
    assert evidence.counts == {"kmem/u-runc-eof": 4001, "kmem/k-cache-create": 1}
    final = correlate(evidence.hits, WINDOWS)
    assert {hit.weight for hit in final if hit.near} == {"strong"}
    assert CREATE in evidence.hits
    busy = evidence
    for index in range(300):
        reason = {"missing": f"reason {index} " + "y" * 100}
        failed = [replace(run(index, failed=True), message="z" * 5000)]
        boots = [replace(BOOT, boot=f"boot-{index}")]
        busy = after(busy, reason | {"runs": failed, "boots": boots})
    assert len(write(busy).encode()) < 100_000
    assert busy.runs["canary"] == Runs(300, 300)


def test_a_document_is_read_back_as_it_was():
    evidence = after(begun(), {"hits": [FIFO, CREATE], "cursors": {"a": "b"}}, {"boots": []}, {"runs": [run(1)]})
    assert read(write(evidence)) == evidence
    assert write(read(write(evidence))) == write(evidence)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"failures": 1', '"failures": 0'),
        ('"watched": 15.0', '"watched": 259200.0'),
        ('"weight": "definite"', '"weight": "weak"'),
        ("ami-0bbbbbbbbbbb77190", "ami-0cccccccccccccccc"),
    ],
)
def test_an_edit_by_hand_shows(old, new):
    failed = {"runs": [run(1, failed=True)], "present": frozenset({"uid-1"}), "hits": [CREATE]}
    text = write(after(begun(), failed, {}))
    assert old in text
    with pytest.raises(EvidenceError, match="edited by hand: its digest is sha256:"):
        read(text.replace(old, new))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"digest": ""}'])
def test_what_is_no_evidence_is_refused(text):
    with pytest.raises(EvidenceError):
        read(text)


def test_a_newer_schema_is_refused():
    body = {"schemaVersion": 2}
    with pytest.raises(EvidenceError, match="schema 2"):
        read(f'{{"schemaVersion": 2, "digest": "{digest(body)}"}}')


def test_the_order_of_keys_does_not_change_a_spec():
    assert spec_digest({"a": 1, "b": {"c": [2]}}) == spec_digest({"b": {"c": [2]}, "a": 1})
    assert spec_digest({"a": 1}) != spec_digest({"a": 2})
