"""A drain that is asked to wait stands still, deadlines included, and goes on where it was."""

from pulumi_nodepools.drain.events import (
    AskGuard,
    Finish,
    Gone,
    GuardPassed,
    Pause,
    Resume,
    Seen,
    Stop,
    Synced,
    TaintNode,
)
from tests.unit.drain.drain_case import Case, controller, make_pod, old_node

ASKED = "ann@desk asked to pause at 12:00"


def test_nothing_new_is_evicted_until_it_is_resumed():
    case = Case(old_node(), controller(desired=2), make_pod("a"), make_pod("b"))
    case.begin()
    assert case.sent == ["a"]
    case.tell(Pause(ASKED))
    case.answer("a", 201)
    case.tell(Gone("pods", "u-a"))
    case.tell(Seen(make_pod("a2", node="other")))
    assert case.sent == []
    assert [(one.reason, one.message) for one in case.state.blocked(case.now)[:1]] == [
        ("paused", f"{ASKED}; nothing is started")
    ]
    case.tell(Resume())
    assert case.sent == ["b"]


def test_a_pause_before_the_first_cordon_touches_nothing():
    """Not even the guard is asked, which freezes the groups when it passes."""
    case = Case(old_node(annotations={}, taints=(), unschedulable=False), make_pod("a"))
    case.tell(Pause(ASKED))
    case.tell(Synced())
    case.at(50)
    assert not [one for one in case.said if isinstance(one, AskGuard | TaintNode)]
    assert case.tell(Resume())[-1:] == [AskGuard()]
    assert [type(one) for one in case.tell(GuardPassed())] == [TaintNode]


def test_a_pause_while_the_guard_is_asked_touches_no_node():
    case = Case(old_node(annotations={}, taints=(), unschedulable=False), make_pod("a"))
    case.tell(Synced())
    case.tell(Pause(ASKED))
    case.tell(GuardPassed())
    case.at(50)
    assert not [one for one in case.said if isinstance(one, TaintNode)]
    case.tell(Resume())
    assert [one for one in case.said if isinstance(one, TaintNode)]


def test_time_that_it_stood_still_does_not_count_against_a_node():
    case = Case(old_node(), make_pod("a"), node_timeout=60)
    case.begin()
    case.answer("a", 429, causes=("DisruptionBudget",))
    case.at(50)
    case.tell(Pause(ASKED))
    case.at(200)
    assert case.state.finish is None
    case.tell(Resume())
    case.at(209)
    assert case.state.finish is None
    assert case.state.wake() <= 210
    case.at(210)
    assert case.state.finish.outcome == "blocked"
    assert "timeout of 60 s per node ran out" in case.state.finish.message


def test_the_workloads_get_their_time_back_too():
    case = Case(old_node(), controller(), make_pod("a"), node_timeout=60)
    case.begin()
    case.answer("a", 201)
    case.tell(Gone("pods", "u-a"))
    case.at(5)
    assert case.state.phase == "gate"
    case.tell(Pause(ASKED))
    case.at(100)
    case.tell(Resume())
    case.at(159)
    assert case.state.finish is None
    case.at(160)
    assert "workloads were not back" in case.state.finish.message


def test_the_total_timeout_and_a_stop_end_a_drain_that_stands_still():
    for event, now, words in ((None, 600, "total timeout"), (Stop("bob asked to stop"), 10, "bob asked to stop")):
        case = Case(old_node(), make_pod("a"))
        case.begin()
        case.tell(Pause(ASKED))
        case.at(now)
        if event:
            case.tell(event)
        (end,) = [one for one in case.said if isinstance(one, Finish)]
        assert (end.outcome, words in end.message) == ("blocked", True)
        assert "paused" in {one.reason for one in end.diagnoses}


def test_a_second_pause_is_one_standstill():
    case = Case(old_node(), make_pod("a"), node_timeout=60)
    case.begin()
    case.answer("a", 429, causes=("DisruptionBudget",))
    case.at(10)
    case.tell(Pause(ASKED))
    case.at(20)
    case.tell(Pause("bob too"))
    case.at(30)
    case.tell(Resume())
    case.at(79)
    assert case.state.finish is None
    case.at(80)
    assert case.state.finish.outcome == "blocked"
