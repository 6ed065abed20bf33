"""What a run of many schedules leaves behind: numbers, and for every violation the way to see it again."""

from collections import Counter
from collections.abc import Callable

import pytest

from tests.chaos.__main__ import play, summarise
from tests.chaos.invariants import Run, Story, Violation
from tests.chaos.roll import Outcome
from tests.chaos.schedule import KINDS, ROUND, Schedule, draw


def outcome(seed: int, end: int, *violations: Violation, **injected: int) -> Outcome:
    story = Story(3, {}, runs=[Run(end, ""), Run(0, "")])
    met = Counter({kind.replace("__", "/"): times for kind, times in injected.items()})
    return Outcome(draw(seed), story, met, [*violations])


def test_schedules_ends_and_faults_by_kind_are_counted() -> None:
    summary = summarise([outcome(1, 0, aws__reset=2), outcome(2, -9, aws__reset=1, death__old=1)], {}, 12.4)
    assert (summary["schedules"], summary["seconds"], summary["violations"]) == (2, 12, [])
    assert summary["firstRuns"] == {"done": 1, "killed": 1}
    assert set(summary["faults"]) == {*KINDS}
    assert {kind: times for kind, times in summary["faults"].items() if times} == {"aws/reset": 3, "death/old": 1}


def meeting(missed: str, *, from_seed: int) -> Callable[[list[Schedule]], list[Outcome]]:
    """A player whose schedules meet every kind that leads them, save for this one before that seed."""

    def played(schedules: list[Schedule]) -> list[Outcome]:
        outcomes = []
        for one in schedules:
            leads = {fault.kind for fault in one.faults if not fault.joins}
            met = leads if one.seed >= from_seed else leads - {missed}
            outcomes.append(outcome(one.seed, 0, **{kind.replace("/", "__"): 1 for kind in met}))
        return outcomes

    return played


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_round_did_not_meet_is_played_once_more_where_it_leads(kind: str) -> None:
    outcomes, once_more = play([*range(7, 7 + ROUND)], meeting(kind, from_seed=7 + ROUND))
    assert [one.schedule.seed for one in outcomes[ROUND:]] == [once_more[kind]]
    assert kind in [fault.kind for fault in draw(once_more[kind]).faults if not fault.joins]
    summary = summarise(outcomes, once_more, 1.0)
    assert (summary["onceMore"], summary["neverMet"], summary["schedules"]) == (once_more, [], ROUND + 1)


def test_a_kind_that_is_not_met_then_either_is_told() -> None:
    outcomes, once_more = play([*range(ROUND)], meeting("death/new", from_seed=1000))
    assert once_more.keys() == {"death/new"}
    assert len(outcomes) == ROUND + 1, "once more, not until it is met"
    assert summarise(outcomes, once_more, 1.0)["neverMet"] == ["death/new"]


def test_what_one_schedule_leads_with_twice_is_played_once() -> None:
    first, second = KINDS[0], KINDS[ROUND]
    outcomes, once_more = play([*range(ROUND)], lambda these: [outcome(one.seed, 0) for one in these])
    assert once_more[first] == once_more[second]
    assert len(outcomes) == 2 * ROUND


def test_fewer_schedules_than_a_round_need_not_meet_all() -> None:
    outcomes, once_more = play([*range(ROUND - 1)], meeting("death/new", from_seed=1000))
    assert (len(outcomes), once_more) == (ROUND - 1, {})
    assert summarise(outcomes, once_more, 1.0)["neverMet"] == []


def test_a_violation_names_its_seed_and_the_command_that_plays_it_again() -> None:
    (found,) = summarise([outcome(17, 0, Violation("capacity", "2 nodes")), outcome(18, 0)], {}, 1.0)["violations"]
    assert (found["seed"], found["kind"], found["detail"]) == (17, "capacity", "2 nodes")
    assert found["schedule"] == str(draw(17))
    assert found["replay"] == "make chaos SEED=17"
