"""The cutover from begin to end: who serves, who is drained, frozen or at 0, and what is refused."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from msgspec.structs import replace as replace_fields

from pulumi_nodepools.aws import groups
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.drain.model import ClaimView, NodeView, Owner, PodView, Resources, VolumeView, WorldView
from pulumi_nodepools.errors import CapacityError, ConfigError, DrainBlockedError, GateError, IdentityError
from pulumi_nodepools.hooks import cutting_over, draining, freezing, place
from pulumi_nodepools.hooks.progress import Engine
from pulumi_nodepools.names import POOL_LABEL, VERSION_LABEL
from tests.unit.hooks.place_case import EBS, add_group, attach_at_most, where

OLD, NEW = "prod-worker-v1", "prod-worker-v2"


class Report:
    def to_json(self):
        return {"schemaVersion": 1, "nodes": {}}


@pytest.fixture
def world(session, make_group, cluster, monkeypatch):
    """v1 with two nodes that serves, v2 with two ready nodes that is to serve; a drain cordons what it is given."""
    make_group(OLD)
    add_group(session, NEW, most=5)
    for name, version in ((OLD, "v1"), (NEW, "v2")):
        for one in groups.describe(session, [name])[name].instances:
            cluster.add_node(f"node-{one.id}", one.id, pool="worker", version=version)
    made = groups.describe(session, [OLD, NEW])
    record = PoolRecord(cluster, "worker")
    record.update(lambda now: replace(now, serving="v1", serving_groups=(OLD,), pending="v2", phase="ready v2"))
    props = {
        **where(session, cluster),
        "active": "v2",
        "proved": "v2",
        "generation": 2.0,
        "groups": [{"name": NEW, "arn": made[NEW].arn}],
        "others": [{"version": "v1", "state": "standby", "groups": [{"name": OLD, "arn": made[OLD].arn}]}],
        "drain": {"timeout": 60.0},
    }
    monkeypatch.setattr(place.Client, "connect", lambda _access: cluster)
    monkeypatch.setattr(draining, "SETTLE_SECONDS", 0.0)
    world = SimpleNamespace(session=session, cluster=cluster, props=props, record=record, drained=[], fault=None)
    monkeypatch.setattr(draining, "drain", lambda _client, **asked: _drain(world, **asked))
    return world


def _drain(world, *, nodes, before_batch, **_):
    before_batch(WorldView(views := _views(world), []))
    world.drained += [node.name for node in views if nodes(node)]
    if world.fault:
        raise world.fault
    for node in views:
        if nodes(node):
            stored = world.cluster.get(f"/api/v1/nodes/{node.name}")
            stored["spec"]["unschedulable"] = True
            world.cluster.replace(f"/api/v1/nodes/{node.name}", stored)
    return Report()


def _views(world):
    return [
        NodeView(
            name=node["metadata"]["name"],
            labels={key: node["metadata"]["labels"][key] for key in (POOL_LABEL, VERSION_LABEL)},
            unschedulable=bool(node["spec"].get("unschedulable")),
            provider_id=node["spec"]["providerID"],
        )
        for node in world.cluster.get("/api/v1/nodes")["items"]
    ]


def _group(world, name):
    return groups.describe(world.session, [name])[name]


def _state(world, name):
    view = _group(world, name)
    return view.min, view.max, view.desired, bool(view.suspended)


def _forget_nodes(world, version):
    for node in world.cluster.get("/api/v1/nodes")["items"]:
        if node["metadata"]["labels"][VERSION_LABEL] == version:
            world.cluster.delete(f"/api/v1/nodes/{node['metadata']['name']}")


def _run(world, **changes):
    cutting_over.cut_over({**world.props, **changes}, Engine(None))


def _back(world):
    """The properties of a cutover back to v1, whose gate has passed."""
    freezing.thaw(world.session, world.record, "v1")
    for node in world.cluster.get("/api/v1/nodes")["items"]:
        if node["metadata"]["labels"][VERSION_LABEL] == "v1":
            node["spec"]["unschedulable"] = False
            world.cluster.replace(f"/api/v1/nodes/{node['metadata']['name']}", node)
    (other,) = world.props["others"]
    standing = {"version": "v2", "state": "standby", "groups": world.props["groups"]}
    return {"active": "v1", "proved": "v1", "groups": other["groups"], "others": [standing]}


def test_the_other_version_stands_by_frozen_with_its_nodes(world):
    _run(world)
    record = world.record.load()
    assert (record.serving, record.serving_groups, record.pending, record.phase) == ("v2", (NEW,), "", "serving")
    assert record.states == {"v2": "active", "v1": "standby"}
    assert len(world.drained) == 2
    assert _state(world, OLD) == (2, 2, 2, True)
    assert _state(world, NEW) == (1, 5, 2, False), "its floor is given back when nothing moves onto it any more"
    assert (record.frozen[OLD].min, record.frozen[OLD].max) == (1, 5)


def test_a_rollback_leaves_the_other_one_frozen_instead(world):
    _run(world)
    world.record.update(lambda now: replace(now, behind={"v1": {"rs": 3}}))
    _run(world, **_back(world))
    assert world.record.load().behind == {}, "who was left behind by the drain of v1 counts no more"
    assert world.record.load().states == {"v1": "active", "v2": "standby"}
    assert _state(world, OLD) == (1, 5, 2, False)
    assert _state(world, NEW) == (2, 2, 2, True)
    assert set(world.record.load().frozen) == {NEW}


def test_a_retired_version_is_drained_and_then_at_0_and_comes_back_with_its_limits(world):
    retired = [{**world.props["others"][0], "state": "retired"}]
    protected = _group(world, OLD).instances[0].id
    world.session.call(
        "autoscaling",
        "set_instance_protection",
        AutoScalingGroupName=OLD,
        InstanceIds=[protected],
        ProtectedFromScaleIn=True,
    )
    _run(world, others=retired)
    assert len(world.drained) == 2
    assert _state(world, OLD)[:3] == (0, 0, 0)
    assert not _group(world, OLD).instances
    assert world.record.load().states["v1"] == "retired"
    _forget_nodes(world, "v1")
    _run(world, others=retired)
    assert _state(world, OLD)[:3] == (0, 0, 0), "nothing else than after the first time"
    freezing.thaw(world.session, world.record, "v1")
    assert _state(world, OLD)[:2] == (1, 5)
    assert not _state(world, OLD)[3]


def test_a_version_without_nodes_starts_none_while_it_stands_by(world):
    sizes = {"MinSize": 0, "DesiredCapacity": 0}
    world.session.call("autoscaling", "update_auto_scaling_group", AutoScalingGroupName=OLD, **sizes)
    _forget_nodes(world, "v1")
    world.record.update(lambda now: replace(now, serving=None))
    _run(world)
    assert world.drained == []
    assert "Launch" in _group(world, OLD).suspended


def test_what_the_gate_has_not_proved_does_not_serve(world):
    before = world.record.load()
    with pytest.raises(GateError, match=r"worker v2 is to serve, but the readiness gate of pool worker has proved v1"):
        _run(world, proved="v1")
    assert world.record.load() == before
    assert world.drained == []


def test_fewer_ready_nodes_than_now_are_refused_before_anything(world):
    name = world.cluster.get("/api/v1/nodes")["items"][-1]["metadata"]["name"]
    stored = world.cluster.get(f"/api/v1/nodes/{name}")
    stored["status"]["conditions"][0]["status"] = "False"
    world.cluster.replace(f"/api/v1/nodes/{name}", stored)
    with pytest.raises(
        CapacityError, match="worker v2 has 1 ready and schedulable nodes, worker v1, which serves, has 2"
    ):
        _run(world)
    assert (world.record.load().serving, world.drained) == ("v1", [])
    assert _state(world, OLD) == (1, 5, 2, False)


def test_pods_that_fit_nowhere_else_leave_the_other_version_serving(world, monkeypatch):
    """As with a volume in a zone where the new version has no node."""
    pod = PodView(namespace="shop", name="db-0", uid="u", node=f"node-{_group(world, OLD).instances[0].id}")
    tied = replace_fields(pod, node_selector={"topology.kubernetes.io/zone": "us-west-2c"})
    owned = replace_fields(tied, owner=Owner("StatefulSet", "apps/v1", "db", "uid-db"))
    monkeypatch.setattr(cutting_over, "look", lambda _client: WorldView(_views(world), [owned]))
    before = world.record.load()
    with pytest.raises(CapacityError, match=r"1 of 1 pods .* fit on none of the 2 ready nodes.*shop/db-0"):
        _run(world)
    assert (world.record.load(), world.drained) == (before, [])
    assert _state(world, OLD) == (1, 5, 2, False)


def test_nodes_that_cannot_attach_the_volumes_leave_the_other_version_serving(world, monkeypatch):
    old, new = (_group(world, name).instances for name in (OLD, NEW))
    owner = Owner("StatefulSet", "apps/v1", "db", "uid-db")
    pod = PodView(namespace="shop", name="db-0", uid="u", node=f"node-{old[0].id}", claims=("data",), owner=owner)
    claim = ClaimView(namespace="shop", name="data", uid="c", volume="pv-data")
    volume = VolumeView(name="pv-data", uid="v", driver=EBS)
    views = [replace_fields(view, allocatable=Resources(1, 1, 9)) for view in _views(world)]
    monkeypatch.setattr(cutting_over, "look", lambda _client: WorldView(views, [pod], claims=[claim], volumes=[volume]))
    attach_at_most(world.cluster, [f"node-{one.id}" for one in new], 0)
    with pytest.raises(CapacityError, match=r"shop/db-0 \(its 1 volume of ebs.csi.aws.com would exceed"):
        _run(world)
    assert world.record.load().serving == "v1"


def test_a_drain_that_fails_is_remembered_as_unfinished(world):
    world.fault = DrainBlockedError("shop/web is blocked")
    with pytest.raises(DrainBlockedError):
        _run(world)
    record = world.record.load()
    assert (record.serving, record.pending, record.phase) == ("v2", "v2", "drain v1")
    assert _state(world, OLD) == (2, 2, 2, True)
    world.fault = None
    _run(world)
    assert (world.record.load().pending, world.record.load().frozen[OLD].max) == ("", 5)


@pytest.mark.parametrize("key", ["account", "clusterUid"])
def test_another_place_is_refused(world, key):
    with pytest.raises(IdentityError, match="nothing was touched"):
        _run(world, **{key: "123"})


def test_a_cutover_without_groups_is_refused(world):
    with pytest.raises(ConfigError, match="names no Auto Scaling group"):
        _run(world, groups=[])


def test_deleting_the_cutover_clears_who_serves(world):
    cutting_over.clear_serving(world.props, Engine(None))
    record = world.record.load()
    assert (record.serving, record.serving_groups, record.phase) == (None, (), "removing")


def test_an_api_server_that_refuses_everything_once_holds_up_no_cutover(world, flaky, monkeypatch):
    seen = WorldView(_views(world), [])

    def drain(_client, *, before_batch, **_):
        before_batch(seen)
        return Report()

    monkeypatch.setattr(draining, "drain", drain)
    flaky()
    _run(world)
    world.cluster.flaky = False
    record = world.record.load()
    assert (record.serving, record.pending, record.phase) == ("v2", "", "serving")
    assert world.record.holder() == ""


def test_the_minimum_that_the_gate_raised_is_given_back_at_the_end(world):
    freezing.hold_floor(world.session, world.record, "v2", [_group(world, NEW)])
    assert _state(world, NEW) == (2, 5, 2, False)
    _run(world, others=[])
    assert _state(world, NEW) == (1, 5, 2, False)
    assert world.record.load().frozen == {}


def test_it_stays_raised_while_the_cutover_has_not_come_to_its_end(world):
    freezing.hold_floor(world.session, world.record, "v2", [_group(world, NEW)])
    world.fault = DrainBlockedError("shop/web is blocked")
    with pytest.raises(DrainBlockedError):
        _run(world)
    assert _state(world, NEW) == (2, 5, 2, False)
