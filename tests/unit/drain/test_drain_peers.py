"""Rows of other drains' tests that only make sense in the pure machine: its times, its order, its keys."""

import pytest
from drain_case import Case, changed, controller, make_pod, old_node

from pulumi_nodepools.drain.events import Evict, Gone, GuardPassed, Seen, Synced
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import ConfigError
from tests.conformance import replays


@replays(
    "karpenter: minimum drain time", "two seconds after the cordon: the scheduler may have bound a pod just before"
)
def test_a_pod_that_was_bound_around_the_cordon_is_not_overlooked():
    case = Case(old_node(unschedulable=False), old_node("m"), make_pod("q", "m", owner="x"))
    case.tell(Synced())
    case.tell(GuardPassed())
    case.tell(Seen(old_node()))
    case.tell(GuardPassed())
    case.at(1.0)
    assert case.state.nodes.tracks["n"].phase == "active", "it looks empty"
    case.tell(Seen(make_pod("late")))
    assert case.sent == ["late"]
    case.tell(Gone("pods", "u-late"))
    case.at(2.0)
    assert case.state.nodes.tracks["n"].phase == "done"


@replays("karpenter: a pod that vanished and came again is evicted", "by its new UID, as any other pod")
def test_a_pod_of_the_same_name_that_comes_again_is_evicted_too():
    case = Case(old_node(), old_node("m"), make_pod("db-0"), make_pod("q", "m", owner="x"))
    case.begin()
    case.answer("db-0", 201)
    case.tell(Gone("pods", "u-db-0"))
    case.tell(Seen(make_pod("db-0", uid="u-again")))
    assert [(action.name, action.uid) for action in case.actions if isinstance(action, Evict)] == [("db-0", "u-again")]


@replays("karpenter: 404", "gone: nothing more is asked")
@replays("capi: EvictPods, 404", "gone: nothing more is asked")
def test_a_pod_that_is_not_there_any_more_is_not_asked_for_again():
    case = Case(old_node(), make_pod("p"))
    case.begin()
    case.answer("p", 404)
    case.at(30.0)
    assert case.sent == []
    assert case.state.evictions.tracks["u-p"].attempts == 1


@replays("kured: concurrency", "`batchSize` nodes at a time, the next ones when their workloads are back")
@pytest.mark.parametrize(("size", "first"), [("1", 1), ("2", 2), ("50%", 2), ("100%", 4)])
def test_no_more_nodes_than_a_batch_are_drained_at_once(size, first):
    nodes = [old_node(f"n{index}") for index in range(4)]
    pods = [make_pod(f"p{index}", f"n{index}", owner=f"o{index}") for index in range(4)]
    case = Case(*nodes, *pods, batch_size=size)
    case.begin()
    assert len(case.sent) == len(case.state.nodes.active) == first


@replays("capi: warnings accumulate", "one entry for each pod: its first obstacle; the next is named once that is gone")
def test_a_pod_with_two_obstacles_is_named_for_each_in_turn():
    pod = changed(make_pod("p", empty_dirs=("data",)), owner=None)
    for settings, reason in (({}, "bare-pod"), ({"bare_pods": "allow"}, "local-data")):
        case = Case(old_node(), pod, empty_dir="block", **settings)
        case.tell(Synced())
        assert [entry.reason for entry in case.state.finish.diagnoses] == [reason]


@replays("capi: timeout 0", "refused: every drain ends")
@replays("kubectl: --timeout 0", "refused: every drain ends")
@pytest.mark.parametrize("timeout", [0, -1, 0.5, float("inf")])
def test_no_drain_goes_on_for_ever(timeout):
    with pytest.raises(ConfigError, match=r"drain\.timeout"):
        DrainSettings(node_timeout=timeout)


@replays("capi: drain group waits for pods of earlier order", "until they are gone, not only until they terminate")
def test_critical_pods_wait_until_the_others_are_gone():
    case = Case(old_node(), controller("dns"), make_pod("app"), make_pod("dns", owner="dns", priority=2_000_000_000))
    case.begin()
    assert case.sent == ["app"]
    case.answer("app", 201)
    case.tell(Seen(changed(make_pod("app"), deleted_at=1_000_030.0)))
    assert case.sent == []
    case.tell(Gone("pods", "u-app"))
    assert case.sent == ["dns"]
