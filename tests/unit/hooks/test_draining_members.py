"""Whose nodes a drain takes: proved to be of this account, cluster and group; those that join meanwhile too."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from pulumi_nodepools.cluster.drainer import NotYet
from pulumi_nodepools.drain.model import NodeView, WorldView
from pulumi_nodepools.errors import CapacityError, IdentityError
from pulumi_nodepools.hooks import draining
from pulumi_nodepools.names import POOL_LABEL, VERSION_LABEL
from tests.unit.hooks.draining_case import BLUE, GREEN, group, run, untouched


def _grow(world, number=1):
    """Somebody scales v1 up: more of its nodes join."""
    world.session.call("autoscaling", "set_desired_capacity", AutoScalingGroupName=BLUE, DesiredCapacity=2 + number)
    known = {one.id for one in world.blue.instances}
    new = [one.id for one in group(world, BLUE).instances if one.id not in known]
    for instance in new:
        world.cluster.add_node(f"node-{instance}", instance, pool="worker", version="v1")
    world.blue = group(world, BLUE)


def test_a_version_that_grew_is_followed_before_anything_of_it_leaves(world):
    _grow(world)
    with pytest.raises(NotYet):
        run(world)
    green = group(world, GREEN)
    assert (green.min, green.desired) == (3, 3), "it has to be as large, and may not shrink meanwhile"
    assert group(world, BLUE).suspended == ()
    assert world.drained == []
    world.green = 3
    run(world)
    assert len(world.drained) == 3
    assert (group(world, GREEN).min, group(world, GREEN).desired) == (1, 3)


def test_a_version_that_grew_beyond_the_limit_is_refused(world):
    world.session.call("autoscaling", "update_auto_scaling_group", AutoScalingGroupName=GREEN, MaxSize=2)
    _grow(world)
    with pytest.raises(
        CapacityError, match=r"worker v2.* may have at most 2 nodes \(size.max\), but 3 nodes are to be"
    ):
        run(world)
    assert untouched(world)


def test_nodes_that_do_not_come_are_waited_for_only_so_long(world, monkeypatch):
    _grow(world)
    clock = SimpleNamespace(now=0.0)

    def ask_twice(_client, *, before_batch, **_):
        with pytest.raises(NotYet):
            before_batch(WorldView(world.views(), []))
        clock.now = 61.0
        before_batch(WorldView(world.views(), []))

    monkeypatch.setattr(draining, "drain", ask_twice)
    monkeypatch.setattr(draining, "time", SimpleNamespace(monotonic=lambda: clock.now))
    with pytest.raises(CapacityError, match="has 2 ready and schedulable nodes, but 3"):
        run(world)


def test_nodes_that_came_during_the_drain_are_drained_and_frozen_before_it_ends(world):
    world.green = 3

    def undo_the_freeze_and_grow(_stop):
        world.act = None
        world.session.call("autoscaling", "update_auto_scaling_group", AutoScalingGroupName=BLUE, MaxSize=5)
        world.session.call("autoscaling", "resume_processes", AutoScalingGroupName=BLUE)
        _grow(world)

    world.act = undo_the_freeze_and_grow
    run(world)
    blue = group(world, BLUE)
    assert set(world.drained) == {f"node-{one.id}" for one in blue.instances}
    assert (len(blue.instances), blue.min, blue.max) == (3, 3, 3)
    assert world.record.load().frozen[BLUE].max == 5


@pytest.mark.parametrize("key", ["account", "clusterUid"])
def test_another_account_or_cluster_is_refused(world, key):
    with pytest.raises(IdentityError, match="nothing was touched"):
        run(world, **{key: "123"})
    assert untouched(world)


def test_another_group_of_the_same_name_is_refused(world):
    with pytest.raises(IdentityError, match="made anew"):
        run(world, groups=[{"name": BLUE, "arn": "arn:aws:autoscaling:us-west-2:1:autoScalingGroup:older"}])
    assert untouched(world)


def test_an_instance_without_a_node_is_refused(world):
    lost = world.blue.instances[0].id
    world.cluster.delete(f"/api/v1/nodes/node-{lost}")
    with pytest.raises(IdentityError, match=f"instance {lost} of {BLUE} is InService"):
        run(world)
    assert untouched(world)


def test_the_drain_may_ask_what_became_of_an_instance(world):
    run(world)
    running, stopped = (one.id for one in world.blue.instances)
    world.session.call("ec2", "stop_instances", InstanceIds=[stopped])

    def state(instance):
        return world.instances(NodeView(name="n", provider_id=f"aws:///us-west-2a/{instance}"))

    assert (state(running), state(stopped)) == ("running", "stopped")
    assert state("i-00000000000000000") == "absent"
    assert world.instances(NodeView(name="n")) == "", "a node without a provider ID"


def test_a_group_that_is_gone_with_its_nodes_is_done_at_once(world):
    world.session.call("autoscaling", "delete_auto_scaling_group", AutoScalingGroupName=BLUE, ForceDelete=True)
    for one in world.blue.instances:
        world.cluster.delete(f"/api/v1/nodes/node-{one.id}")
    told = run(world)
    assert world.drained == []
    assert "worker v1: no nodes left, nothing to drain" in told.lines


def test_a_group_that_is_gone_while_its_nodes_live_is_refused(world):
    world.session.call("autoscaling", "delete_auto_scaling_group", AutoScalingGroupName=BLUE, ForceDelete=True)
    with pytest.raises(IdentityError):
        run(world)


def test_nodes_without_a_group_are_drained_by_label_alone(world):
    run(world, groups=[], account="")
    assert len(world.drained) == 2
    assert group(world, BLUE).max == 5


def test_nodes_of_any_origin_are_drained_by_selector_alone(world):
    path = "/api/v1/nodes"
    for one in world.blue.instances:
        stored = world.cluster.get(f"{path}/node-{one.id}")
        stored["metadata"]["labels"] = {"eks.amazonaws.com/nodegroup": "batch"}
        world.cluster.replace(f"{path}/node-{one.id}", stored)
    world.views = lambda: (
        [
            NodeView(name=node["metadata"]["name"], labels=node["metadata"]["labels"])
            for node in world.cluster.get(path)["items"]
        ]
        + [NodeView(name="other", labels={POOL_LABEL: "worker", VERSION_LABEL: "v1"})]
    )
    world.record.update(lambda now: replace(now, serving=None))
    run(world, groups=[], account="", selector={"eks.amazonaws.com/nodegroup": "batch"})
    assert sorted(world.drained) == sorted(f"node-{one.id}" for one in world.blue.instances)
    assert group(world, BLUE).max == 5, "its group is neither frozen nor read"


def test_a_group_that_was_adopted_counts_by_its_instances(world):
    """v2 serves from a group whose nodes carry no label of ours."""
    green = group(world, GREEN).instances
    world.views = lambda: [
        *(
            NodeView(name=f"node-{one.id}", labels={POOL_LABEL: "worker", VERSION_LABEL: "v1"})
            for one in world.blue.instances
        ),
        *(NodeView(name=one.id, provider_id=f"aws:///us-west-2a/{one.id}") for one in green),
    ]
    run(world)
    assert len(world.drained) == 2
