"""Before a node's first eviction: its load balancers send it nothing new any more."""

import pytest
from drain_case import OWNER, WALL, Case, make_pod, old_node

from pulumi_nodepools.drain.events import Answered, BalancersSeen, Gone, LeaveBalancers, Say, Seen
from pulumi_nodepools.drain.report import make_report
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.state import State

LB = "target group web: draining"


def begun(*views, **settings):
    """A drain with that step, up to the first look at the load balancers."""
    case = Case(**settings)
    limits = {"batch_size": "100%", "node_timeout": 60, "total_timeout": 6000} | settings
    case.state = State(
        DrainSettings(**limits), OWNER, lambda node: node.labels.get("pool") == "old", now=0.0, wall=WALL, balanced=True
    )
    for view in views:
        case.tell(Seen(view))
    case.begin()
    return case


def asked(case):
    return [action.nodes for action in case.actions if isinstance(action, LeaveBalancers)]


def test_nothing_is_evicted_before_the_node_has_left():
    case = begun(old_node(), make_pod("p"))
    assert (asked(case), case.sent) == ([("n",)], [])
    case.tell(BalancersSeen("n", (LB,)))
    case.tell(Seen(make_pod("q", owner="other")))
    assert case.sent == [], "a pod that comes meanwhile waits as well"
    (entry,) = (entry for entry in case.state.blocked(1.0) if entry.reason == "load-balancer")
    assert LB in entry.message
    assert case.state.blocked(1.0, after=5.0) == [], "what has only begun is not said to be stuck"
    case.at(2.9)
    assert asked(case) == []
    case.at(3.0)
    assert asked(case) == [("n",)], "asked again"
    case.tell(BalancersSeen("n"))
    assert case.sent == ["p", "q"]
    (node,) = make_report(case.state, 9.0, events=[], api_calls={}).to_json()["nodes"].values()
    assert node["lb"] == {"start": 0.0, "end": 3.0}
    assert node["evict"]["start"] == 3.0


def test_a_node_without_pods_to_evict_leaves_too():
    """Its ingress may be a DaemonSet, and this is all the drain that it gets."""
    case = begun(old_node())
    case.at(5.0)
    assert case.state.nodes.tracks["n"].phase == "active"
    case.tell(BalancersSeen("n"))
    assert case.state.nodes.tracks["n"].phase == "done"


@pytest.mark.parametrize("policy", ["fail", "skip", "force"])
def test_a_node_that_does_not_leave_in_time_ends_the_drain(policy):
    case = begun(old_node(), make_pod("p"), node_timeout=5, deregistration_timeout=100, on_timeout=policy)
    case.tell(BalancersSeen("n", (LB,), allowance=20.0))
    case.at(119.9)
    assert case.state.finish is None, "what the target groups take by themselves comes on top"
    case.at(120.0)
    assert case.state.finish.outcome == "blocked"
    assert "n did not leave their load balancers in 100 s; nothing was evicted there" in case.state.finish.message
    assert "load-balancer" in {entry.reason for entry in case.state.finish.diagnoses}
    assert not case.state.evictions.tracks


def test_the_timeout_of_the_pods_begins_with_the_first_eviction():
    case = begun(old_node(), make_pod("p"), node_timeout=5)
    case.now = 50.0
    case.tell(BalancersSeen("n"))
    case.at(54.9)
    assert case.state.finish is None
    case.at(55.0)
    assert case.state.finish.outcome == "blocked"


def test_a_node_that_vanishes_meanwhile_is_not_waited_for():
    case = begun(old_node(), make_pod("p"))
    case.tell(Gone("nodes", "n"))
    case.tell(BalancersSeen("n", (LB,)))
    assert case.state.finish.outcome == "drained"
    assert not [say for say in case.said if isinstance(say, Say) and say.kind == "balancers"]


def test_without_the_step_evictions_begin_at_once():
    case = Case(old_node(), make_pod("p"))
    case.begin()
    assert (asked(case), case.sent) == ([], ["p"])
    case.tell(Answered("u-p", 201))
