"""When a drain must not begin: pure, from nodes and pods."""

import msgspec
import pytest

from pulumi_nodepools.drain.model import NodeView, Owner, PodView, Resources, Taint, WorldView
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import CapacityError
from pulumi_nodepools.hooks import guards
from pulumi_nodepools.hooks.members import Membership
from pulumi_nodepools.hooks.skip import way_past
from pulumi_nodepools.names import POOL_LABEL, SOAK_LABEL, SOAK_NAMESPACE, VERSION_LABEL

OWNER = Owner(kind="ReplicaSet", api_version="apps/v1", name="web", uid="rs")
DAEMON = Owner(kind="DaemonSet", api_version="apps/v1", name="cni", uid="ds")
SETTINGS = DrainSettings()


def _node(name, version, **changes):
    labels = {POOL_LABEL: "worker", VERSION_LABEL: version}
    room = Resources(cpu=4000, memory=8 << 30, pods=10)
    return NodeView(**{"name": name, "labels": labels, "allocatable": room, **changes})


def _pod(name, node, *, cpu=1000, owner=OWNER, **changes):
    requests = Resources(cpu=cpu, memory=1 << 20, pods=1)
    return PodView(namespace="shop", name=name, uid=name, node=node, owner=owner, requests=requests, **changes)


def _blue(node):
    return node.labels.get(VERSION_LABEL) == "v1"


def _room(nodes, pods):
    guards.require_room(WorldView(nodes, pods), _blue, SETTINGS)


def test_the_serving_version_is_never_drained():
    with pytest.raises(CapacityError, match=r"worker v1 is the version that serves"):
        guards.refuse_serving("worker", "v1", "v1")
    guards.refuse_serving("worker", "v1", "v2")
    guards.refuse_serving("worker", "v1", None)


@pytest.mark.parametrize(
    "second", [_node("g2", "v2", ready=False), _node("g2", "v2", unschedulable=True), _node("g2", "v3")]
)
def test_fewer_ready_nodes_than_are_to_go(second):
    world = WorldView([_node("b1", "v1"), _node("b2", "v1", unschedulable=True), _node("g1", "v2"), second], [])
    with pytest.raises(CapacityError, match="has 1 ready and schedulable nodes, but 2 nodes are to be drained"):
        guards.require_count(world, _blue, SETTINGS, Membership("worker", "v2"))
    guards.require_count(world, _blue, SETTINGS, None)


def test_as_many_ready_nodes_are_enough():
    guards.require_count(
        WorldView([_node("b1", "v1"), _node("g1", "v2")], []), _blue, SETTINGS, Membership("worker", "v2")
    )


def test_pods_must_fit_on_what_is_free_outside():
    nodes = [_node("b1", "v1"), _node("g1", "v2")]
    stays = [_pod(f"stays-{n}", "g1") for n in range(2)]
    _room(nodes, [*stays, _pod("one", "b1"), _pod("two", "b1")])
    with pytest.raises(CapacityError, match=r"1 of 3 pods .* shop/"):
        _room(nodes, [*stays, _pod("one", "b1"), _pod("two", "b1"), _pod("three", "b1")])


def test_pods_that_stay_or_have_ended_need_no_room():
    nodes = [_node("b1", "v1")]
    _room(nodes, [_pod("cni", "b1", owner=DAEMON), _pod("done", "b1", phase="Succeeded")])


def test_runs_of_a_soak_need_no_room():
    """They are for the old nodes alone, and every minute there are some: no cutover could be sure to begin."""
    job = Owner(kind="Job", api_version="batch/v1", name="worker-v2-baseline-1", uid="job")
    run = _pod("run", "b1", owner=job, node_selector={VERSION_LABEL: "v1"}, labels={SOAK_LABEL: "baseline"})
    nodes = [_node("b1", "v1"), _node("g1", "v2")]
    with pytest.raises(CapacityError, match="shop/run"):
        _room(nodes, [run])
    _room(nodes, [msgspec.structs.replace(run, namespace=SOAK_NAMESPACE)])
    with pytest.raises(CapacityError, match="nodepools-soak/run"):
        _room(nodes, [msgspec.structs.replace(run, namespace=SOAK_NAMESPACE, labels={})])


def test_pods_that_have_ended_take_no_room():
    nodes = [_node("b1", "v1"), _node("g1", "v2")]
    _room(nodes, [_pod("done", "g1", cpu=4000, phase="Succeeded"), _pod("one", "b1", cpu=4000)])


@pytest.mark.parametrize(
    ("nodes", "cpu"),
    [([_node("b1", "v1"), _node("g1", "v2", ready=False)], 100), ([_node("b1", "v1"), _node("g1", "v2")], 99_000)],
)
def test_no_room_outside_names_the_way_for_a_whole_cluster(nodes, cpu):
    past = way_past("prod", "worker/v1")
    with pytest.raises(CapacityError, match=r"NODEPOOLS_DRAIN_SKIP=prod/worker/v1$"):
        guards.require_room(WorldView(nodes, [_pod("one", "b1", cpu=cpu)]), _blue, SETTINGS, otherwise=past)


def test_taints_and_selectors_count():
    tainted = _node("g1", "v2", taints=(Taint(key="dedicated", effect="NoSchedule"),))
    with pytest.raises(CapacityError):
        _room([_node("b1", "v1"), tainted], [_pod("one", "b1")])
    with pytest.raises(CapacityError):
        _room([_node("b1", "v1"), _node("g1", "v2")], [_pod("one", "b1", node_selector={"disk": "ssd"})])


def test_nodes_that_stand_by_with_nothing_to_move_are_no_capacity():
    standing = [_node(f"b{n}", "v1", unschedulable=True) for n in range(3)]
    world = WorldView([*standing, _node("g1", "v2")], [])
    guards.require_count(world, _blue, SETTINGS, Membership("worker", "v2"))
    with pytest.raises(CapacityError, match="has 1 ready and schedulable nodes, but 3"):
        guards.require_count(WorldView(world.nodes, [_pod("one", "b1")]), _blue, SETTINGS, Membership("worker", "v2"))
