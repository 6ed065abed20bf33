"""Instances and Nodes must account for each other, or nothing may be concluded."""

import pytest

from pulumi_nodepools.aws.groups import GroupView, Instance
from pulumi_nodepools.drain.model import NodeView
from pulumi_nodepools.hooks.members import Membership, resolve

LABELS = {"nodepools.dev/pool": "worker", "nodepools.dev/version": "v1"}


def _group(*ids, lifecycle="InService"):
    instances = tuple(Instance(one, "us-west-2a", lifecycle, "Healthy") for one in ids)
    return GroupView("g1", "arn:g1", 0, 9, len(ids), (), instances)


def _node(instance, *, ready="True", labels=LABELS):
    return {
        "metadata": {"name": f"node-{instance}", "labels": labels},
        "spec": {"providerID": f"aws:///us-west-2a/{instance}"},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


NODE = NodeView(name="3", provider_id="aws:///us-west-2a/i-3")
RUNNING = {"i-1": "running", "i-2": "running"}


def test_nodes_are_found_by_label_and_by_instance():
    nodes = [_node("i-1"), _node("i-2", labels={}), _node("i-3", labels={})]
    member = Membership.of("worker", "v1", [_group("i-2")])
    assert [node["metadata"]["name"] for node in nodes if member.includes_raw(node)] == ["node-i-1", "node-i-2"]
    views = [NodeView(name="1", labels=LABELS), NodeView(name="2", provider_id="aws:///us-west-2a/i-2"), NODE]
    assert [view.name for view in views if member.includes(view)] == ["1", "2"]


def test_a_selector_counts_in_place_of_our_own_labels():
    member = Membership("worker", "v1", selector={"eks.amazonaws.com/nodegroup": "batch", "a": "b"})
    wanted = {"eks.amazonaws.com/nodegroup": "batch", "a": "b", "more": ""}
    assert member.includes(NodeView(name="1", labels=wanted))
    for labels in (LABELS, {"a": "b"}, {}):
        assert not member.includes(NodeView(name="1", labels=labels))


def test_everything_accounted_for():
    members = resolve([_group("i-1", "i-2")], [], [_node("i-1"), _node("i-2", ready="False")], RUNNING)
    assert members.nodes == ("node-i-1", "node-i-2")
    assert not members.doubts


@pytest.mark.parametrize("lifecycle", ["InService", "Pending:Wait", "Terminating"])
def test_an_instance_that_runs_without_a_node_forbids_to_go_on(lifecycle):
    members = resolve([_group("i-1", "i-2", lifecycle=lifecycle)], [], [_node("i-1")], RUNNING)
    assert members.doubts == (f"instance i-2 of g1 is {lifecycle} (running) and no Node has it in its providerID",)


def test_a_terminated_instance_needs_no_node_and_its_left_over_node_no_drain():
    states = {"i-1": "terminated", "i-2": "absent"}
    members = resolve([_group("i-1", "i-2")], [], [_node("i-2", ready="Unknown")], states)
    assert (members.nodes, members.dead, members.doubts) == ((), {"node-i-2"}, ())


def test_a_ready_node_of_an_absent_instance_is_a_doubt_since_the_region_may_be_wrong():
    members = resolve([], ["g1"], [_node("i-1")], {"i-1": "absent"})
    assert "node-i-1 is Ready, but EC2 says that its instance i-1 is absent" in members.doubts[0]


def test_a_living_node_of_a_group_that_is_gone_is_a_doubt():
    assert "group g1 is gone" in resolve([], ["g1"], [_node("i-1")], {"i-1": "running"}).doubts[0]


def test_a_group_that_is_gone_with_its_nodes_is_done():
    members = resolve([], ["g1"], [], {})
    assert (members.nodes, members.doubts) == ((), ())
