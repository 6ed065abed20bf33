"""What a run of many schedules leaves behind: numbers, and for every violation the way to see it again."""

from collections import Counter

from tests.chaos.__main__ import summarise
from tests.chaos.invariants import Run, Story, Violation
from tests.chaos.roll import Outcome
from tests.chaos.schedule import KINDS, ROUND, draw


def outcome(seed: int, end: int, *violations: Violation, **injected: int) -> Outcome:
    story = Story(3, {}, runs=[Run(end, ""), Run(0, "")])
    met = Counter({kind.replace("__", "/"): times for kind, times in injected.items()})
    return Outcome(draw(seed), story, met, [*violations])


def test_schedules_ends_and_faults_by_kind_are_counted() -> None:
    summary = summarise([outcome(1, 0, aws__reset=2), outcome(2, -9, aws__reset=1, death__old=1)], 12.4)
    assert (summary["schedules"], summary["seconds"], summary["violations"]) == (2, 12, [])
    assert summary["firstRuns"] == {"done": 1, "killed": 1}
    assert set(summary["faults"]) == {*KINDS}
    assert {kind: times for kind, times in summary["faults"].items() if times} == {"aws/reset": 3, "death/old": 1}


def test_a_round_that_never_met_a_kind_of_fault_says_so_and_fewer_schedules_need_not_meet_all() -> None:
    met = {kind.replace("/", "__"): 1 for kind in KINDS if kind != "death/new"}
    assert summarise([outcome(seed, 0, **met) for seed in range(ROUND)], 1.0)["neverMet"] == ["death/new"]
    assert summarise([outcome(seed, 0, **met) for seed in range(ROUND - 1)], 1.0)["neverMet"] == []


def test_a_violation_names_its_seed_and_the_command_that_plays_it_again() -> None:
    (found,) = summarise([outcome(17, 0, Violation("capacity", "2 nodes")), outcome(18, 0)], 1.0)["violations"]
    assert (found["seed"], found["kind"], found["detail"]) == (17, "capacity", "2 nodes")
    assert found["schedule"] == str(draw(17))
    assert found["replay"] == "make chaos SEED=17"
