"""Each thing that must never be is seen when it is there: stories that were made up, one for each."""

from copy import deepcopy

import pytest

from pulumi_nodepools import names
from sandbox.recorder import Interruption
from tests.chaos.invariants import KINDS, Death, Run, Story, leftovers, violations

DONE = Run(0, "took gate 1.0\ntook cutover 0.2\ntook drain 9.9\n")
STOPPED = Run(2, "took gate 1.0\nstopped the drain was blocked\n")
EVICTED = "/api/v1/namespaces/case-1/pods/web-1/eviction"
TWICE = f"eviction of a pod whose eviction was accepted before: create {EVICTED} at 2026-01-01T00:00:00Z"
DOWN = Interruption("service", "case-1/web", "no ready endpoint", 100.0, 101.0)


def story(**changes) -> Story:
    known = {"size": 3, "limits": {"gate": 40.0, "cutover": 60.0, "drain": 60.0}, "runs": [STOPPED, DONE]}
    return Story(**{**known, "lowest_ready": 3, **changes})


BAD = {
    "interruption": {"interruptions": [DOWN]},
    "capacity": {"lowest_ready": 2},
    "eviction": {"requests": [TWICE]},
    "blind": {"blindly": [f"{EVICTED} was asked for 9 s after /api/v1/pods had been seen last"]},
    "aws-request": {"aws": ["c1 asked for autoscaling:DeleteAutoScalingGroup of prod-c1-v1"]},
    "not-empty": {"not_empty": ["web-1"]},
    "left-over": {"left_over": ["node a is cordoned"]},
    "deadline": {"runs": [Run(2, "took drain 96.0\nstopped out of time\n"), DONE]},
    "undocumented-end": {"runs": [Run(3, "Traceback (most recent call last):\nKeyError: 'x'\n"), DONE]},
    "gave-up": {"passing": True},
    "not-resumed": {"runs": [STOPPED, STOPPED]},
    "unwatched": {"gaps": ["/api/v1/nodes: OSError"]},
}


def test_a_good_story_has_no_violation() -> None:
    assert violations(story()) == []
    assert violations(story(runs=[DONE], passing=True)) == []


def test_every_kind_has_a_story() -> None:
    assert set(BAD) == {*KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_violation_is_seen(kind: str) -> None:
    assert [one.kind for one in violations(story(**BAD[kind]))] == [kind]


@pytest.mark.parametrize("code", [1, -6, -11, 3])
def test_only_success_an_expected_failure_and_our_own_kill_are_ends(code: int) -> None:
    assert "undocumented-end" in [one.kind for one in violations(story(runs=[Run(code, ""), DONE]))]
    assert violations(story(runs=[Run(-9, ""), DONE])) == []


def test_a_hang_in_a_step_that_was_killed_is_no_end() -> None:
    assert [one.kind for one in violations(story(runs=[Run(-9, ""), Run(-9, "")]))] == ["not-resumed"]


def test_a_fault_that_was_played_by_half_leaves_nothing_proved() -> None:
    (found,) = violations(story(not_played=["death/new from node #1: AssertionError: it stayed"]))
    assert (found.kind, "death/new" in found.detail) == ("unwatched", True)


def test_what_a_dead_node_took_with_it_is_explained_and_nothing_else_is() -> None:
    death = Death("a", 99.0, frozenset({"case-1/web"}))
    assert violations(story(interruptions=[DOWN], deaths=[death], lowest_ready=2)) == []
    other = Interruption("budget", "case-1/api", "1 healthy of 2 required", 100.0)
    late = Interruption("service", "case-1/web", "no ready endpoint", 130.0)
    for unexplained in (other, late):
        assert len(violations(story(interruptions=[unexplained], deaths=[death]))) == 1
    assert len(violations(story(lowest_ready=1, deaths=[death]))) == 1


def test_asking_again_after_a_lost_answer_is_no_second_eviction() -> None:
    assert violations(story(requests=[TWICE], lost=[EVICTED])) == []
    assert len(violations(story(requests=[TWICE], lost=[EVICTED.replace("web-1", "web-2")]))) == 1


NODE = {"metadata": {"name": "a", "labels": {}, "annotations": {}}, "spec": {"taints": [{"key": "theirs"}]}}
SERVES = {"AutoScalingGroupName": "prod-c1-v2", "SuspendedProcesses": [], "MinSize": 1, "MaxSize": 6}
FROZEN = {
    "AutoScalingGroupName": "prod-c1-v1",
    "SuspendedProcesses": [{"ProcessName": "Launch"}],
    "MinSize": 3,
    "MaxSize": 3,
}
RECORD = {"serving": "v2", "pending": "", "frozen": {"prod-c1-v1": {}}}


def left(node=NODE, serves=SERVES, frozen=FROZEN, record=RECORD, holder="") -> list[str]:
    groups = {"v2": serves, "v1": frozen}
    return leftovers("c1", "v2", nodes=[node], groups=groups, record=record, holder=holder)


def with_(body: dict, where: str, key: str, value: object) -> dict:
    changed = deepcopy(body)
    changed[where][key] = value
    return changed


def test_a_pool_that_is_as_it_should_be_has_nothing_left_over() -> None:
    assert left() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"node": with_(NODE, "spec", "unschedulable", True)}, "node a is cordoned"),
        ({"node": with_(NODE, "spec", "taints", [{"key": names.DRAINING_TAINT}])}, "has the taint"),
        ({"node": with_(NODE, "metadata", "annotations", {names.OWNER_ANNOTATION: "c1/v2"})}, "has the annotation"),
        ({"node": with_(NODE, "metadata", "labels", {names.QUARANTINE_LABEL: "true"})}, "has the label"),
        ({"node": with_(NODE, "metadata", "labels", {names.EXCLUSION_LABEL: "x"})}, "has the label"),
        ({"serves": {**SERVES, "SuspendedProcesses": [{"ProcessName": "Launch"}]}}, "has Launch suspended"),
        ({"serves": {**SERVES, "MinSize": 6}}, "is still held at 6 to 6"),
        ({"record": {**RECORD, "frozen": {"prod-c1-v1": {}, "prod-c1-v2": {}}}}, "is still held at 1 to 6"),
        ({"frozen": {**FROZEN, "SuspendedProcesses": []}}, "stands by and is not frozen"),
        ({"record": {**RECORD, "frozen": {}}}, "stands by and is not frozen"),
        ({"record": {**RECORD, "serving": "v1"}}, "says that v1 serves, not v2"),
        ({"record": {**RECORD, "pending": "v2"}}, "still waits for the switch to v2"),
        ({"holder": "host-1-2-3"}, "the Lease is held by host-1-2-3"),
    ],
)
def test_what_is_left_over_is_named(changes: dict, said: str) -> None:
    (found,) = left(**changes)
    assert said in found


def test_a_serving_version_without_a_group_is_named() -> None:
    assert leftovers("c1", "v2", nodes=[], groups={}, record=RECORD, holder="") == ["c1 v2 has no group"]
