"""Mistakes that a drain once made, each told event by event."""

import pytest
from drain_case import Case, changed, controller, make_pod, old_node

from pulumi_nodepools.drain.answers import retry_delay
from pulumi_nodepools.drain.classify import SAFE_TO_EVICT
from pulumi_nodepools.drain.events import Evict, Gone, GuardPassed, Patched, Say, Seen, Synced, WatchBack, WatchLost
from pulumi_nodepools.drain.model import BudgetView, NodeView
from pulumi_nodepools.drain.report import make_report
from tests.conformance import replays


def new_node(name):
    return NodeView(name=name)


def test_a_lost_answer_keeps_its_place_in_the_pace():
    pods = [make_pod(f"p{index}") for index in range(4)]
    case = Case(old_node(), controller(desired=4), *pods)
    case.begin()
    (first,) = case.sent
    case.answer(first, 0, message="connection reset")
    assert case.sent == [], "the eviction may have been carried out: nobody else may go meanwhile"
    case.at(0.4)
    assert case.sent == []
    case.at(2.0)
    assert case.sent == [first], "it is the same pod that is asked for again"


def test_a_replacement_on_a_node_that_is_gone_replaces_nobody():
    case = Case(old_node(), new_node("g"), new_node("h"), controller(desired=2), make_pod("p0"), make_pod("p1"))
    case.begin()
    (first,) = case.sent
    case.answer(first, 201)
    case.tell(Gone("nodes", "g"))
    case.tell(Seen(make_pod("q0", "g")))
    case.tell(Gone("pods", f"u-{first}"))
    assert case.sent == [], "it is listed as ready until it is collected, but no Service sends anything there"
    case.tell(Gone("pods", "u-q0"))
    assert case.sent == []
    case.tell(Seen(make_pod("q1", "h")))
    assert len(case.sent) == 1


def test_a_replacement_counts_again_once_its_node_is_back():
    case = Case(old_node(), new_node("g"), controller(desired=2), make_pod("p0"), make_pod("p1"))
    case.begin()
    (first,) = case.sent
    case.answer(first, 201)
    case.tell(Gone("nodes", "g"))
    case.tell(Seen(make_pod("q0", "g")))
    case.tell(Gone("pods", f"u-{first}"))
    assert case.sent == []
    case.tell(Seen(new_node("g")))
    assert len(case.sent) == 1


def test_a_refusal_after_a_lost_answer_proves_nothing():
    pods = [make_pod(f"p{index}") for index in range(4)]
    case = Case(old_node(), controller(desired=4), *pods, node_timeout=300)
    case.begin()
    (first,) = case.sent
    case.answer(first, 0, message="connection reset")
    case.at(2.0)
    case.answer(first, 400, message='admission webhook "w" denied the request')
    assert case.sent == [], "webhooks are asked about pods as well that are terminating already"
    case.at(10.0)
    assert case.sent in ([], [first])


def test_a_pod_that_opts_out_while_its_eviction_is_refused_is_not_asked_for_again():
    pod = make_pod("p")
    case = Case(old_node(), controller(), pod)
    case.begin()
    assert case.sent == ["p"]
    case.tell(Seen(changed(pod, notes={SAFE_TO_EVICT: "false"})))
    case.answer("p", 500, message="etcdserver: leader changed")
    case.now = 5.0
    case.tell(Seen(old_node("m")))
    assert case.sent == []


def test_pods_of_a_node_that_vanished_are_left_to_the_garbage_collector():
    pods = [make_pod(f"p{index}") for index in range(3)]
    budget = BudgetView(namespace="ns", name="b", uid="b", match_labels={"app": "rs"}, allowed=9)
    case = Case(old_node(), old_node("m"), budget, *pods, make_pod("other", "m", owner="x"))
    case.begin()
    (first,) = set(case.sent) - {"other"}
    case.tell(Gone("nodes", "n"))
    case.answer(first, 201)
    assert case.sent == []
    case.tell(Gone("pods", f"u-{first}"))
    for now in (1.0, 10.0):
        case.at(now)
        assert case.sent == []
    case.tell(Seen(changed(pods[2], ready=False)))
    assert case.sent == []
    assert case.state.nodes.tracks["n"].left == {}


def test_a_node_that_registers_again_is_drained_with_what_runs_on_it():
    case = Case(old_node(), old_node("m"), make_pod("p"), make_pod("other", "m", owner="x"))
    case.begin()
    case.answer("p", 500)
    case.tell(Gone("nodes", "n"))
    case.tell(Seen(old_node(uid="again")))
    assert set(case.state.nodes.tracks["n"].left) == {"u-p"}, "it is not empty only because it was away"


def another_node(**fields):
    """Of the version that takes over, made with the address, and so with the name, of one of the drain's nodes."""
    return NodeView(name="n", uid="another", labels={"pool": "new"}, **fields)


@pytest.mark.parametrize("told", [(Gone("nodes", "n"),), ()], ids=["after its end was seen", "its end was missed"])
@pytest.mark.parametrize("begun", [False, True])
def test_another_node_with_the_name_of_one_that_is_gone_is_left_alone(told, begun):
    case = Case(old_node(uid="n1"), old_node("m"), controller(desired=2), make_pod("p"), make_pod("q", "m"))
    if begun:
        case.begin()
    else:
        case.tell(Synced())
    for event in (*told, Seen(another_node()), Seen(changed(make_pod("p"), uid="u-r", name="r"))):
        case.tell(event)
    case.said.clear()
    for _ in range(2):
        case.tell(GuardPassed())
    case.at(60.0)
    touched = [action for action in case.said if getattr(action, "node", getattr(action, "name", "")) in ("n", "r")]
    assert touched == []
    report = make_report(case.state, case.now, events=[], api_calls={})
    assert {node.name: node.phase for node in report.nodes}["n"] == "gone"
    assert case.state.capacity.points[-1].blue == 0


def test_a_node_that_is_gone_before_all_is_known_is_no_part_of_the_drain():
    case = Case(old_node(), old_node("m"), controller(), make_pod("p", "m"))
    case.tell(Gone("nodes", "n"))
    case.tell(Synced())
    case.tell(GuardPassed())
    assert [action.name for action in case.tell(GuardPassed()) if isinstance(action, Evict)] == ["p"]


@pytest.mark.parametrize("gone", [False, True])
@replays("kubectl: true orphan of a DaemonSet", "evicted, without a flag; the garbage collector would delete it anyway")
@replays("capi: DaemonSet, orphan", "evicted")
def test_a_pod_whose_daemonset_is_gone_has_to_leave(gone):
    daemon = make_pod("d", owner="ds", kind="DaemonSet")
    owners = [controller("ds", 0, "DaemonSet")]
    case = Case(old_node(), old_node("m"), daemon, make_pod("p", "m"), *(() if gone else owners))
    case.begin()
    assert ("d" in case.sent) is gone
    case.tell(Gone("controllers", "ds"))
    assert "u-d" in case.state.nodes.tracks["n"].left


def test_a_daemonset_pod_that_has_just_started_is_no_orphan():
    case = Case(old_node(), make_pod("p"))
    case.begin()
    case.tell(Seen(make_pod("d", owner="new", kind="DaemonSet", started_at=1_000_000.0)))
    assert case.sent == [], "its DaemonSet is told by another watch, perhaps a moment later"
    assert set(case.state.nodes.tracks["n"].left) == {"u-p"}


def test_what_a_lagging_budget_controller_holds_is_asked_for_once_not_once_per_pod():
    budget = BudgetView(namespace="ns", name="b", uid="b", match_labels={"app": "rs"}, allowed=5, healthy=9, needed=4)
    case = Case(old_node(), budget, *[make_pod(f"p{index}") for index in range(9)])
    case.begin()
    (first,) = case.sent
    case.answer(first, 429, causes=("DisruptionBudget",), retry_after=10.0, message="still being processed")
    assert case.sent == []
    case.at(9.0)
    assert case.sent == []
    case.at(13.0)
    assert len(case.sent) == 1


def test_retries_of_many_pods_are_spread():
    delays = {retry_delay("transient", 3, 0, key=f"uid-{index}") for index in range(50)}
    assert len(delays) > 40
    assert 2.0 <= min(delays) <= max(delays) <= 3.0
    assert min(retry_delay("throttled", 1, 10, key=f"uid-{index}") for index in range(50)) >= 10


def test_a_server_that_protects_itself_is_left_alone_for_as_long_as_it_asks_and_no_longer():
    case = Case(old_node(), *[make_pod(f"p{index}", owner=f"o{index}") for index in range(40)], unbudgeted="all")
    case.begin()
    for turn in range(6):
        for name in case.sent:
            case.answer(name, 429, retry_after=1.0)
        case.at(case.now + 0.9)
        assert case.sent == [], "not before it said so"
        case.at(case.now + 0.4)
        assert len(case.sent) <= max(1, 32 >> turn)
        assert case.sent, "and then at once, however often it refused"


@replays("kubectl: waitForDelete, client error", "no error of one request ends a drain")
@replays("eksctl: recoverable error", "retried, further apart")
def test_a_server_that_does_not_answer_is_asked_by_fewer_and_fewer():
    pods = [make_pod(f"p{index}", owner=f"o{index}") for index in range(100)]
    case = Case(old_node(), *pods, unbudgeted="all")
    case.begin()
    sent = case.sent
    assert len(sent) == 32
    asked = 0
    for name in sent:
        case.answer(name, 0, message="connection refused")
        asked += len(case.sent)
    assert asked <= 8, "a server that is away gets no storm"


def test_a_late_node_is_cordoned_before_its_pods_are_evicted():
    case = Case(old_node(), make_pod("p"))
    case.begin()
    case.tell(Seen(old_node("late", annotations={}, taints=(), unschedulable=False)))
    case.tell(Seen(make_pod("q", "late", owner="x")))
    case.tell(Gone("pods", "u-p"))
    case.at(5.0)
    case.tell(GuardPassed())
    assert case.sent == []
    case.tell(Seen(old_node("late")))
    case.tell(GuardPassed())
    assert case.sent == ["q"]


def test_a_node_that_cannot_be_cordoned_is_named_and_not_waited_for_in_silence():
    case = Case(old_node(unschedulable=False), make_pod("p"))
    case.tell(Synced())
    case.tell(GuardPassed())
    case.tell(Patched("n", "cordon", 422, "policy keep-nodes says no"))
    assert any("keep-nodes" in action.message for action in case.actions if isinstance(action, Say))
    case.at(60.0)
    finish = case.actions[-1]
    assert (finish.outcome, [entry.reason for entry in finish.diagnoses]) == ("blocked", ["node-refused"])
    assert "keep-nodes" in finish.diagnoses[0].message


def test_a_budget_that_frees_after_many_refusals_is_used_at_once():
    budget = BudgetView(namespace="ns", name="b", uid="b", match_labels={"app": "rs"}, healthy=1, needed=1)
    case = Case(old_node(), budget, make_pod("p"), node_timeout=3000, total_timeout=9000)
    case.begin()
    asked = 0
    while asked < 8:
        case.at(case.state.wake())
        if case.sent:
            asked += 1
            case.answer("p", 429, causes=("DisruptionBudget",))
    case.now += 0.1
    case.tell(Seen(changed(budget, allowed=1)))
    assert case.sent == ["p"], "the wait between two tries is for those who hear nothing"


def test_a_pod_that_stopped_being_ignored_is_not_reported_as_skipped():
    daemon = make_pod("d", owner="ds", kind="DaemonSet")
    case = Case(old_node(), controller("ds", 0, "DaemonSet"), daemon)
    case.begin()
    case.tell(Seen(changed(daemon, phase="Succeeded")))
    report = make_report(case.state, case.now, events=[], api_calls={})
    assert report.skipped == []


@pytest.mark.parametrize("kind", ["pods", "budgets"])
def test_nothing_new_is_evicted_while_a_watch_is_down_for_long(kind):
    pods = [make_pod(f"p{index}", owner=f"o{index}") for index in range(3)]
    budget = BudgetView(namespace="ns", name="b", uid="b", allowed=9)
    case = Case(old_node(), budget, *pods)
    case.begin()
    (first,) = case.sent
    case.tell(WatchLost(kind))
    case.at(1.0)
    case.answer(first, 201)
    (second,) = case.sent
    case.at(5.0)
    case.answer(second, 201)
    assert case.sent == [], "five seconds without news"
    assert [action.kind for action in case.said if isinstance(action, Say)][-1] == "paused"
    assert case.state.blocked(case.now, after=5.0)[0].reason == "api-failing"
    assert case.state.wake() > case.now, "waiting for news is no reason to be busy"
    case.at(30.0)
    assert case.sent == []
    case.tell(WatchBack(kind))
    assert case.sent == [], "what was missed comes first"
    case.at(31.0)
    assert len(case.sent) == 1


def test_an_accepted_eviction_is_not_repeated_because_its_watch_was_down():
    case = Case(old_node(), make_pod("p"), node_timeout=300)
    case.begin()
    case.answer("p", 201)
    case.tell(WatchLost("pods"))
    case.at(90.0)
    case.tell(WatchBack("pods"))
    case.tell(Seen(changed(make_pod("p"), deleted_at=1_000_100.0)))
    case.at(92.0)
    assert not [action for action in case.said if isinstance(action, Evict)][1:]


def test_a_short_gap_of_a_watch_holds_up_nothing():
    case = Case(old_node(), make_pod("p"), make_pod("q", owner="x"), batch_size="1")
    case.tell(WatchLost("pods"))
    case.tell(WatchBack("pods"))
    case.begin()
    assert sorted(case.sent) == ["p", "q"]


def test_a_watch_that_is_back_is_noticed_whatever_the_drain_does_then():
    case = Case(old_node(), controller(desired=1), make_pod("p"))
    case.begin()
    case.answer("p", 201)
    case.tell(WatchLost("budgets"))
    case.at(6.0)
    case.tell(Gone("pods", "u-p"))
    assert case.state.phase == "gate", "its replacement is not ready yet"
    case.tell(WatchBack("budgets"))
    case.at(20.0)
    assert [entry.reason for entry in case.state.blocked(case.now)] == ["replacement-not-ready"]


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        ('nodes "n" is forbidden: User "u" cannot patch resource "nodes" in API group ""', "denied"),
        ('admission webhook "keep.example.com" denied the request: not today', "blocked"),
    ],
)
def test_a_webhook_that_refuses_a_cordon_is_no_missing_right(message, outcome):
    case = Case(old_node(unschedulable=False), make_pod("p"))
    case.tell(Synced())
    case.tell(GuardPassed())
    case.tell(Patched("n", "cordon", 403, message))
    case.at(60.0)
    assert case.state.finish.outcome == outcome
