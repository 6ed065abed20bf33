"""The delete path around the drain: what is proved, refused, frozen and recorded, in which order."""

import json
import re
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from pulumi_nodepools.aws import groups
from pulumi_nodepools.cluster.drainer import NotYet
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.cluster.turns import turn
from pulumi_nodepools.drain.model import Diagnosis, NodeView, PodView, Progress, WorldView
from pulumi_nodepools.errors import AccessDeniedError, CapacityError, DrainBlockedError, HeldError, IdentityError
from pulumi_nodepools.hooks import draining, place
from pulumi_nodepools.hooks.progress import Engine
from pulumi_nodepools.names import POOL_LABEL, VERSION_LABEL

BLUE, GREEN = "prod-worker-v1", "prod-worker-v2"


class Report:
    def to_json(self):
        return {"schemaVersion": 1, "nodes": {}}


class Told(Engine):
    def __init__(self):
        super().__init__(None)
        self.lines = []

    def status(self, urn, message):
        self.lines.append(message)

    info = warn = status


@pytest.fixture
def world(session, make_group, cluster, monkeypatch):
    """v1 with two nodes that is to go, v2 with two nodes that serves, and a drain that only asks its guard."""
    make_group(BLUE)
    made = groups.describe(session, [BLUE])
    blue = made[BLUE]
    session.call(
        "autoscaling",
        "create_auto_scaling_group",
        AutoScalingGroupName=GREEN,
        LaunchTemplate={"LaunchTemplateName": "template", "Version": "1"},
        MinSize=1,
        MaxSize=9,
        DesiredCapacity=2,
        AvailabilityZones=["us-west-2a"],
    )
    for instance in blue.instances:
        cluster.add_node(f"node-{instance.id}", instance.id, pool="worker", version="v1")
    record = PoolRecord(cluster, "worker")
    record.update(lambda now: replace(now, serving="v2", serving_groups=(GREEN,)))
    props = {
        "cluster": "prod",
        "clusterUid": cluster.cluster_uid,
        "account": session.account(),
        "region": "us-west-2",
        "access": {"kind": "kubeconfig"},
        "pool": "worker",
        "version": "v1",
        "groups": [{"name": BLUE, "arn": blue.arn}],
        "drain": {"timeout": 60.0},
        "urn": "urn:hook",
    }
    monkeypatch.setattr(place.Client, "connect", lambda _access: cluster)
    monkeypatch.setattr(draining, "SETTLE_SECONDS", 0.0)
    made = SimpleNamespace(
        session=session, cluster=cluster, props=props, record=record, blue=blue, drained=[], act=None
    )
    made.green, made.green_ready = 2, True

    def nodes():
        both = [("v1", f"node-{one.id}", True) for one in made.blue.instances]
        both += [("v2", f"green-{n}", made.green_ready) for n in range(made.green)]
        return [
            NodeView(name=name, labels={POOL_LABEL: "worker", VERSION_LABEL: version}, ready=ready)
            for version, name, ready in both
        ]

    def drain(_client, *, nodes: object, owner, before_batch, listen, stop, instances, **_):
        seen = WorldView(views := made.views(), made.pods)
        before_batch(seen)
        before_batch(seen)
        made.drained += [node.name for node in views if nodes(node)]
        listen(Progress("batch", 1, 2, 3, [], ""))
        made.instances = instances
        if made.act:
            made.act(stop)
        return Report()

    made.views, made.pods, made.rights = nodes, [], []
    monkeypatch.setattr(
        draining.aws_rights, "require", lambda _s, arns, *, balancers: made.rights.append((arns, balancers))
    )
    monkeypatch.setattr(draining, "drain", drain)
    return made


def _group(world, name):
    return groups.describe(world.session, [name])[name]


def _run(world, **changes):
    told = Told()
    draining.drain_version({**world.props, **changes}, told)
    return told


def _untouched(world):
    view = _group(world, BLUE)
    return (view.min, view.max, view.suspended, world.drained) == (1, 5, (), [])


def test_aws_rights_are_asked_for_before_the_first_touch(world, monkeypatch):
    _run(world)
    assert world.rights == [([world.blue.arn], True)]
    _run(world, drain={"timeout": 60.0, "loadBalancers": "label"})
    assert world.rights[-1] == ([world.blue.arn], False), "nobody is taken out of target groups"

    def refuse(*_args, **_options):
        raise AccessDeniedError("role/x lacks 1 AWS rights")

    world.drained.clear()
    monkeypatch.setattr(draining.aws_rights, "require", refuse)
    with pytest.raises(AccessDeniedError, match="lacks 1 AWS"):
        _run(world)
    assert world.drained == []


def test_drains_exactly_its_nodes_frozen_and_records_it(world, tmp_path, monkeypatch):
    monkeypatch.setenv("NODEPOOLS_REPORT_DIR", str(tmp_path))
    seen = []
    world.act = lambda _stop: seen.append((_group(world, BLUE), _group(world, GREEN), world.record.load()))
    told = _run(world)
    assert sorted(world.drained) == sorted(f"node-{one.id}" for one in world.blue.instances)
    ((blue, green, record),) = seen
    assert (blue.min, blue.max, set(blue.suspended)) == (2, 2, set(groups.FROZEN_PROCESSES))
    assert (green.min, green.max, green.suspended) == (2, 9, ())
    assert record.frozen[BLUE].max == 5
    assert record.phase == "drain v1: batch 1"
    after = world.record.load()
    assert (after.phase, after.serving, set(after.frozen)) == ("drained v1", "v2", {BLUE})
    assert _group(world, GREEN).min == 1
    assert "1/2 nodes, 3 pods left; batch of worker v1" in told.lines
    (report,) = tmp_path.iterdir()
    assert json.loads(report.read_text())["version"] == "v1"


def test_the_serving_version_is_refused(world):
    world.record.update(lambda now: replace(now, serving="v1"))
    with pytest.raises(CapacityError, match="is the version that serves"):
        _run(world)
    assert _untouched(world)


def test_a_green_that_is_not_ready_is_refused_before_the_freeze(world):
    world.green_ready = False
    with pytest.raises(CapacityError, match="has 0 ready and schedulable nodes, but 2"):
        _run(world)
    assert _untouched(world)


def _grow(world, number=1):
    """Somebody scales v1 up: more of its nodes join."""
    world.session.call("autoscaling", "set_desired_capacity", AutoScalingGroupName=BLUE, DesiredCapacity=2 + number)
    known = {one.id for one in world.blue.instances}
    new = [one.id for one in _group(world, BLUE).instances if one.id not in known]
    for instance in new:
        world.cluster.add_node(f"node-{instance}", instance, pool="worker", version="v1")
    world.blue = _group(world, BLUE)


def test_a_version_that_grew_is_followed_before_anything_of_it_leaves(world):
    _grow(world)
    with pytest.raises(NotYet):
        _run(world)
    green = _group(world, GREEN)
    assert (green.min, green.desired) == (3, 3), "it has to be as large, and may not shrink meanwhile"
    assert _group(world, BLUE).suspended == ()
    assert world.drained == []
    world.green = 3
    _run(world)
    assert len(world.drained) == 3
    assert (_group(world, GREEN).min, _group(world, GREEN).desired) == (1, 3)


def test_a_version_that_grew_beyond_the_limit_is_refused(world):
    world.session.call("autoscaling", "update_auto_scaling_group", AutoScalingGroupName=GREEN, MaxSize=2)
    _grow(world)
    with pytest.raises(
        CapacityError, match=r"worker v2.* may have at most 2 nodes \(size.max\), but 3 nodes are to be"
    ):
        _run(world)
    assert _untouched(world)


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
        _run(world)


def test_nodes_that_came_during_the_drain_are_drained_and_frozen_before_it_ends(world):
    world.green = 3

    def undo_the_freeze_and_grow(_stop):
        world.act = None
        world.session.call("autoscaling", "update_auto_scaling_group", AutoScalingGroupName=BLUE, MaxSize=5)
        world.session.call("autoscaling", "resume_processes", AutoScalingGroupName=BLUE)
        _grow(world)

    world.act = undo_the_freeze_and_grow
    _run(world)
    blue = _group(world, BLUE)
    assert set(world.drained) == {f"node-{one.id}" for one in blue.instances}
    assert (len(blue.instances), blue.min, blue.max) == (3, 3, 3)
    assert world.record.load().frozen[BLUE].max == 5


def test_what_never_clears_is_told_and_its_own_runner_is_refused_before_the_freeze(world, monkeypatch):
    node = f"node-{world.blue.instances[0].id}"
    world.pods = [PodView(namespace="shop", name="bare", uid="u", node=node)]
    monkeypatch.setenv("NODE_NAME", node)
    with pytest.raises(DrainBlockedError, match=f"runs on node {node}") as caught:
        _run(world)
    assert _untouched(world)
    assert [one.reason for one in caught.value.diagnosis] == ["own-runner"]
    monkeypatch.delenv("NODE_NAME")
    told = _run(world)
    assert any("never: pod shop/bare" in line for line in told.lines)
    assert len(world.drained) == 2


def test_missing_rights_are_refused_before_anything_else(world):
    world.cluster.denied = frozenset({"create pods/eviction"})
    with pytest.raises(AccessDeniedError, match=r"lack 1 of .* create pods/eviction"):
        _run(world)
    assert _untouched(world)


@pytest.mark.parametrize("key", ["account", "clusterUid"])
def test_another_account_or_cluster_is_refused(world, key):
    with pytest.raises(IdentityError, match="nothing was touched"):
        _run(world, **{key: "123"})
    assert _untouched(world)


def test_another_group_of_the_same_name_is_refused(world):
    with pytest.raises(IdentityError, match="made anew"):
        _run(world, groups=[{"name": BLUE, "arn": "arn:aws:autoscaling:us-west-2:1:autoScalingGroup:older"}])
    assert _untouched(world)


def test_an_instance_without_a_node_is_refused(world):
    lost = world.blue.instances[0].id
    world.cluster.delete(f"/api/v1/nodes/node-{lost}")
    with pytest.raises(IdentityError, match=f"instance {lost} of {BLUE} is InService"):
        _run(world)
    assert _untouched(world)


def test_the_drain_may_ask_what_became_of_an_instance(world):
    _run(world)
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
    told = _run(world)
    assert world.drained == []
    assert "worker v1: no nodes left, nothing to drain" in told.lines


def test_a_group_that_is_gone_while_its_nodes_live_is_refused(world):
    world.session.call("autoscaling", "delete_auto_scaling_group", AutoScalingGroupName=BLUE, ForceDelete=True)
    with pytest.raises(IdentityError):
        _run(world)


def test_a_drain_that_stops_keeps_the_freeze_and_the_report(world, tmp_path, monkeypatch):
    monkeypatch.setenv("NODEPOOLS_REPORT_DIR", str(tmp_path))

    def blocked(_stop):
        error = DrainBlockedError("shop/web is blocked")
        error.report = Report()
        raise error

    world.act = blocked
    with pytest.raises(DrainBlockedError):
        _run(world)
    assert _group(world, BLUE).max == 2
    assert world.record.load().phase == "drain v1: batch 1"
    assert len(list(tmp_path.iterdir())) == 1
    world.act = None
    _run(world)
    assert world.record.load().frozen[BLUE].max == 5


@pytest.mark.parametrize("lease", ["nodepools-worker", "nodepools.drain"])
def test_a_lost_lease_is_named_as_the_reason(world, lease):
    """The pool's, and the cluster's turn to drain."""

    def steal(stop: threading.Event):
        path = f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{lease}"
        stored = world.cluster.get(path)
        stored["spec"]["holderIdentity"] = "thief"
        world.cluster.replace(path, stored)
        assert stop.wait(30)
        raise DrainBlockedError("it was told to stop")

    world.act = steal
    with pytest.raises(HeldError, match=rf"{re.escape(lease)} was taken by thief"):
        _run(world)


def test_each_diagnosis_is_told_once():
    told = Told()
    line = draining.status_line(
        Progress("batch", 0, 2, 9, [Diagnosis("budget", "shop/web", "n", "needs 2", "wait")], "")
    )
    assert line == "1 blocked: shop/web budget; 0/2 nodes, 9 pods left; batch"
    assert told.lines == []


def test_the_status_line_says_how_long_it_takes_yet():
    line = draining.status_line(Progress("batch", 6, 14, 24, [], "", working=90.0))
    assert line == "6/14 nodes, 24 pods left, about 2 min left (6 nodes took 1 min 30 s); batch"


def test_nodes_without_a_group_are_drained_by_label_alone(world):
    _run(world, groups=[], account="")
    assert len(world.drained) == 2
    assert _group(world, BLUE).max == 5


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
    _run(world, groups=[], account="", selector={"eks.amazonaws.com/nodegroup": "batch"})
    assert sorted(world.drained) == sorted(f"node-{one.id}" for one in world.blue.instances)
    assert _group(world, BLUE).max == 5, "its group is neither frozen nor read"


def test_a_group_that_was_adopted_counts_by_its_instances(world):
    """v2 serves from a group whose nodes carry no label of ours."""
    green = _group(world, GREEN).instances
    world.views = lambda: [
        *(
            NodeView(name=f"node-{one.id}", labels={POOL_LABEL: "worker", VERSION_LABEL: "v1"})
            for one in world.blue.instances
        ),
        *(NodeView(name=one.id, provider_id=f"aws:///us-west-2a/{one.id}") for one in green),
    ]
    _run(world)
    assert len(world.drained) == 2


def test_an_api_server_that_refuses_everything_once_holds_up_no_drain(world, flaky):
    flaky()
    _run(world)
    world.cluster.flaky = False
    assert world.drained == [f"node-{one.id}" for one in world.blue.instances]
    assert world.record.load().phase == "drained v1"
    assert world.record.holder() == ""


def test_it_waits_for_the_drain_of_another_pool_with_nothing_touched_and_says_so(world):
    waiting, told = threading.Event(), Told()
    told.status = told.info = told.warn = lambda _urn, line: (
        told.lines.append(line),
        "waits" in line and waiting.set(),
    )
    drain = threading.Thread(target=draining.drain_version, args=(world.props, told))
    with turn(world.cluster, "other 7.6", stop=threading.Event(), limit=60, waits=lambda _other: None):
        drain.start()
        assert waiting.wait(60)
        assert _untouched(world)
    drain.join(60)
    assert "worker v1: waits for the drain of other 7.6: one drain at a time runs in a cluster" in told.lines
    assert len(world.drained) == 2


def test_the_drain_is_given_the_command_of_the_batch_gate(world, monkeypatch):
    given = []
    monkeypatch.setattr(
        draining, "command_of", lambda settings, *pool: given.append((settings.batch_gate.command, *pool))
    )
    _run(world, drain={"batchGate": {"command": ["./check"]}})
    assert given == [(("./check",), "worker", "v1")]
