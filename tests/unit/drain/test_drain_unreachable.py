"""Nodes whose kubelet does not answer: the cloud's word about their machines decides."""

import pytest
from drain_case import WALL, Case, changed, make_pod, old_node

from pulumi_nodepools.drain.events import (
    AskInstance,
    CordonNode,
    Gone,
    InstanceSeen,
    Patched,
    ReleaseNode,
    RestoreNode,
    Say,
    Seen,
    TaintNode,
)
from pulumi_nodepools.drain.report import make_report
from pulumi_nodepools.names import RELEASED_ANNOTATION
from tests.conformance import replays

DEAD = {"ready": False, "ready_status": "Unknown"}


def dying(**fields):
    """A node in its drain whose kubelet falls silent while its pod terminates."""
    case = Case(old_node(uid="n-1"), old_node("m"), make_pod("p"), make_pod("q", "m", owner="x"), **fields)
    case.begin()
    case.answer("p", 201)
    case.tell(Seen(changed(make_pod("p"), deleted_at=WALL + 30)))
    case.tell(Seen(old_node(uid="n-1", **DEAD)))
    return case


def test_the_machine_of_a_silent_node_is_asked_for_once_and_again_later():
    case = dying()
    assert case.actions.count(AskInstance("n")) == 1
    case.at(1.0)
    assert AskInstance("n") not in case.actions, "its answer is still due"
    case.tell(InstanceSeen("n", "running"))
    assert AskInstance("n") not in case.actions
    case.at(16.0)
    assert case.actions.count(AskInstance("n")) == 1
    assert AskInstance("m") not in case.said


@pytest.mark.parametrize("state", ["terminated", "stopped", "absent"])
@replays("karpenter: instance gone and NotReady", "confirmed with EC2: nothing runs there, so the node is finished")
@replays("capi: node unreachable", "pods are given up only when the cloud says that the machine is no more")
def test_a_machine_that_is_no_more_ends_its_node(state):
    case = dying()
    case.tell(InstanceSeen("n", state))
    case.tell(Patched("n", "release", 200))
    case.answer("q", 201)
    case.tell(Gone("pods", "u-q"))
    case.at(3.0)
    assert case.state.finish.outcome == "drained"
    assert {node.name: node.phase for node in make_report(case.state, 3.0, events=[], api_calls={}).nodes} == {
        "n": "gone",
        "m": "done",
    }


@pytest.mark.parametrize("state", ["running", "shutting-down", "stopping", ""])
def test_a_machine_that_may_still_run_is_waited_for_until_the_deadline_and_said_so(state):
    case = dying()
    case.tell(InstanceSeen("n", state))
    case.at(60.0)
    finish = case.state.finish
    assert finish.outcome == "blocked"
    (entry,) = [entry for entry in finish.diagnoses if entry.object == "pod ns/p"]
    assert entry.reason == "kubelet-unreachable"
    assert entry.numbers["instance"] == (state or "unknown")
    assert ("not known here" in entry.message) is (state == "")


@replays("karpenter: instance gone but Ready", "a kubelet that answers is believed: the drain goes on")
def test_a_node_that_is_ready_again_is_not_given_up():
    case = dying()
    case.tell(Seen(old_node(uid="n-1")))
    case.tell(InstanceSeen("n", "stopped"))
    assert case.state.nodes.tracks["n"].phase == "active"


def test_a_buried_node_stays_buried_until_it_is_ready_or_another():
    case = dying()
    case.tell(InstanceSeen("n", "stopped"))
    case.tell(Seen(old_node(uid="n-1", resource_version="9", **DEAD)))
    assert case.state.nodes.tracks["n"].phase == "gone"
    case.tell(Seen(changed(make_pod("p"), deleted_at=WALL + 30)))
    assert case.state.nodes.tracks["n"].left == {}
    case.tell(Seen(old_node(uid="n-1")))
    assert case.state.nodes.tracks["n"].left, "it runs again, with what was on it"


def test_a_node_whose_machine_is_no_more_is_told_to_the_cluster_and_the_end_waits_for_that():
    case = dying()
    case.tell(InstanceSeen("n", "stopped"))
    assert case.actions.count(ReleaseNode("n")) == 1
    case.answer("q", 201)
    case.tell(Gone("pods", "u-q"))
    case.at(3.0)
    assert case.state.finish is None, "whether it is written is not known yet"
    case.tell(Patched("n", "release", 200))
    assert case.state.finish.outcome == "drained"


@pytest.mark.parametrize("state", ["running", "shutting-down", "stopping", "pending", ""])
def test_a_machine_that_may_still_run_is_never_called_out_of_service(state):
    case = dying()
    case.tell(InstanceSeen("n", state))
    case.at(16.0)
    assert not [action for action in case.said if isinstance(action, ReleaseNode)]


def test_a_taint_that_is_refused_is_tried_three_times_and_holds_nothing_up():
    case = dying()
    case.tell(InstanceSeen("n", "terminated"))
    for _ in range(3):
        case.tell(Patched("n", "release", 500, "etcd"))
    assert case.said.count(ReleaseNode("n")) == 3
    assert case.state.releases == {}
    (told,) = [action for action in case.actions if isinstance(action, Say)]
    assert (told.kind, told.message) == ("node-refused", "node n could not be tainted as out of service: 500 etcd")


def test_a_node_that_is_back_has_our_word_taken_off_before_anything_else_and_again_until_it_is():
    case = dying()
    case.tell(InstanceSeen("n", "stopped"))
    case.tell(Patched("n", "release", 200))
    ours = {"annotations": {**old_node().annotations, RELEASED_ANNOTATION: "pool/v1"}}
    case.tell(Seen(old_node(uid="n-1", **ours, **DEAD)))
    assert RestoreNode("n") not in case.said
    case.tell(Seen(old_node(uid="n-1", **ours)))
    assert case.actions.count(RestoreNode("n")) == 1
    case.tell(Patched("n", "restore", 500))
    case.at(2.0)
    assert case.said.count(RestoreNode("n")) == 2
    case.tell(Patched("n", "restore", 200))
    case.tell(Seen(old_node(uid="n-1")))
    assert case.state.nodes.lacking == {}


def test_a_node_that_somebody_else_cordoned_gets_our_word_off_and_keeps_its_cordon():
    theirs = old_node(annotations={RELEASED_ANNOTATION: "pool/v1"}, taints=())
    case = Case(theirs, make_pod("p"))
    case.begin()
    assert [action for action in case.said if isinstance(action, TaintNode | CordonNode)] == []
    assert RestoreNode("n") in case.said


def test_the_taint_is_not_tried_again_on_another_node_of_that_name():
    case = dying()
    case.tell(InstanceSeen("n", "terminated"))
    case.tell(Seen(changed(old_node(uid="another", **DEAD), labels={"pool": "new"})))
    case.tell(Patched("n", "release", 500))
    assert case.said.count(ReleaseNode("n")) == 1
