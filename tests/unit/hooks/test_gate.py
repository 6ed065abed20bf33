"""The gate from begin to end: moto's groups, a cluster in memory, and instances that join or never do."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from pulumi_nodepools.aws import groups
from pulumi_nodepools.aws.groups import FailedLaunch
from pulumi_nodepools.cluster.client import list_nodes
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.errors import ConfigError, GateError, HeldError, IdentityError
from pulumi_nodepools.hooks import freezing, gate, place
from pulumi_nodepools.hooks.progress import Engine
from tests.unit.hooks.place_case import where

NAME = "prod-worker-v2"


@pytest.fixture
def world(session, make_group, cluster, monkeypatch):
    """Two launched instances of v2 and the properties of a gate that waits for them; nobody has joined yet."""
    make_group(NAME)
    view = groups.describe(session, [NAME])[NAME]
    props = {
        **where(session, cluster),
        "active": "v2",
        "groups": [{"name": NAME, "arn": view.arn}],
        "kernelArguments": ["cgroup.memory=nokmem"],
        "minimumKernelVersion": "3.10.0-1062.4.1",
        "timeout": 30.0,
        "consecutive": 2.0,
        "interval": 0.01,
    }
    monkeypatch.setattr(place.Client, "connect", lambda _access: cluster)
    monkeypatch.setattr(gate, "uncordon", lambda *_: [])
    return SimpleNamespace(
        session=session, cluster=cluster, props=props, record=PoolRecord(cluster, "worker"), instances=view.instances
    )


class Told(Engine):
    def __init__(self, each=lambda _line: None):
        super().__init__(None)
        self.lines, self.each = [], each

    def status(self, urn, message):
        self.lines.append(message)
        self.each(message)


def _join(world, **node):
    for instance in world.instances:
        world.cluster.add_node(f"node-{instance.id}", instance.id, pool="worker", version="v2", **node)


def test_passes_once_all_have_joined_and_leaves_serving_to_the_cutover(world):
    told = Told(lambda line: _join(world) if line == told.lines[0] and len(told.lines) == 1 else None)
    gate.pass_gate(world.props, told)
    record = world.record.load()
    assert (record.serving, record.pending, record.phase) == (None, "v2", "ready v2")
    assert record.evidence["gate"] == {"version": "v2", "nodes": 2, "minimumKernel": "3.10.0-1062.4.1"}
    assert "0/2 nodes of worker v2 ready" in told.lines[0]
    assert told.lines[-1] == "2/2 nodes of worker v2 ready; good 2/2"
    assert world.record.holder() == ""


def test_one_bad_look_starts_the_count_anew(world):
    _join(world)
    name = f"node-{world.instances[0].id}"

    def flap(line):
        stored = world.cluster.get(f"/api/v1/nodes/{name}")
        stored["status"]["conditions"][0]["status"] = "False" if len(told.lines) == 1 else "True"
        world.cluster.replace(f"/api/v1/nodes/{name}", stored)

    told = Told(flap)
    gate.pass_gate(world.props, told)
    assert [line.split("; ")[-1] for line in told.lines][::2] == ["good 1/2", "good 1/2"]
    assert "Node not Ready" in told.lines[1]


def test_the_deadline_names_what_each_lacks(world):
    world.record.update(lambda now: replace(now, serving="v1"))
    _join(world, ready=False)
    with pytest.raises(GateError) as caught:
        gate.pass_gate({**world.props, "timeout": 0.001}, Told())
    for instance in world.instances:
        assert f"{instance.id} (node-{instance.id}) Node not Ready" in str(caught.value)
    assert world.record.load().serving == "v1"


def _fail(monkeypatch, *activities):
    monkeypatch.setattr(gate.groups, "activities", lambda *_: [FailedLaunch(*one) for one in activities])


def _suspended(world):
    return groups.describe(world.session, [NAME])[NAME].suspended


def test_a_bad_image_stops_the_relaunching_and_names_instances_and_reasons(world, monkeypatch):
    world.record.update(lambda now: replace(now, serving="v1"))
    _fail(monkeypatch, ("a1", "i-0aa", "was abandoned"), ("a2", "i-0bb", "was abandoned"))
    with pytest.raises(GateError) as caught:
        gate.pass_gate(world.props, Told())
    for words in ("2 launches failed", "i-0aa: was abandoned", "i-0bb", "worker v1 still serves", NAME, "pulumi up"):
        assert words in str(caught.value)
    assert _suspended(world) == ("Launch",)
    assert world.record.load().frozen[NAME].suspended == ("Launch",)


def test_one_failure_is_no_pattern_and_missing_capacity_not_the_images_fault(world, monkeypatch):
    _fail(monkeypatch, ("a1", "i-0aa", "abandoned"), ("a2", "", "InsufficientInstanceCapacity"), ("a3", "", "again"))
    with pytest.raises(GateError, match="0 of 2 nodes ready") as caught:
        gate.pass_gate({**world.props, "timeout": 0.001}, Told())
    assert "InsufficientInstanceCapacity" not in str(caught.value), "both instances were launched after all"
    view = replace(groups.describe(world.session, [NAME])[NAME], instances=())
    with monkeypatch.context() as patch:
        patch.setattr(gate.groups, "describe", lambda *_: {NAME: view})
        with pytest.raises(GateError, match=rf"2 of 2 instances .*; {NAME}: InsufficientInstanceCapacity"):
            gate.pass_gate({**world.props, "timeout": 0.001}, Told())
    assert _suspended(world) == ()


def test_a_retry_resumes_launches_and_judges_only_new_failures(world, monkeypatch):
    _fail(monkeypatch, ("a1", "i-0aa", "abandoned"), ("a2", "i-0bb", "abandoned"))
    with pytest.raises(GateError):
        gate.pass_gate(world.props, Told())
    _join(world)
    gate.pass_gate(world.props, Told())
    assert _suspended(world) == ()
    assert world.record.load().phase == "ready v2"
    assert world.record.load().frozen == {}


def test_a_rollback_thaws_the_version_first(world):
    _join(world)
    freezing.freeze(world.session, world.record, "v2", groups.describe(world.session, [NAME]).values())
    gate.pass_gate(world.props, Told())
    view = groups.describe(world.session, [NAME])[NAME]
    assert (view.min, view.max, view.suspended) == (1, 5, ())


def test_an_unreachable_cluster_for_a_while_is_no_verdict(world):
    _join(world)

    def outage(_line):
        world.cluster.down = False

    told = Told(outage)
    looks = []
    real = list_nodes

    def look(client):
        looks.append(1)
        if len(looks) == 2:  # the first one is before the waiting begins
            world.cluster.down = True
        return real(client)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "list_nodes", look)
        gate.pass_gate(world.props, told)
    assert "does not answer" in told.lines[0]
    assert world.record.load().phase == "ready v2"


def test_a_lost_lease_ends_it_without_recording_anything(world):
    def steal(_line):
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/nodepools-worker"
        stored = world.cluster.get(path)
        stored["spec"]["holderIdentity"] = "thief"
        world.cluster.replace(path, stored)

    _join(world)
    with pytest.raises(HeldError, match="taken by thief"):
        gate.pass_gate({**world.props, "consecutive": 1}, Told(steal))
    assert world.record.load().phase == "gate v2"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("account", "999999999999", "account 999999999999"), ("clusterUid", "another", "kube-system has UID another")],
)
def test_another_place_is_refused_before_anything(world, key, value, words):
    with pytest.raises(IdentityError, match=words):
        gate.pass_gate({**world.props, key: value}, Told())
    assert not world.cluster.objects


def test_a_group_that_is_gone_is_said_to_be(world):
    world.session.call("autoscaling", "delete_auto_scaling_group", AutoScalingGroupName=NAME, ForceDelete=True)
    with pytest.raises(GateError, match=f"{NAME} does not exist"):
        gate.pass_gate(world.props, Told())


def test_a_gate_without_groups_waits_for_nothing_and_says_so(world):
    with pytest.raises(ConfigError, match="names no Auto Scaling group"):
        gate.pass_gate({**world.props, "groups": []}, Told())


def test_a_thaw_gives_the_limits_of_the_program(world):
    _join(world)
    freezing.freeze(world.session, world.record, "v2", groups.describe(world.session, [NAME]).values())
    gate.pass_gate({**world.props, "limits": {NAME: [2.0, 7.0]}}, Told())
    view = groups.describe(world.session, [NAME])[NAME]
    assert (view.min, view.max, view.suspended) == (2, 7, ())


def test_a_canary_is_as_large_as_it_was_asked_to_be_and_begins_no_switch(world):
    _serving(world, 4)
    _join(world)
    world.record.update(lambda now: replace(now, pending="v1"))
    gate.pass_gate({**world.props, "canary": True}, Told())
    record = world.record.load()
    assert groups.describe(world.session, [NAME])[NAME].desired == 2
    assert (record.serving, record.pending) == ("v1", "v1")
    assert record.evidence["canary"]["version"] == "v2"


def _serving(world, desired):
    world.session.call(
        "autoscaling",
        "create_auto_scaling_group",
        AutoScalingGroupName="prod-worker-v1",
        LaunchTemplate={"LaunchTemplateName": "template", "Version": "1"},
        MinSize=0,
        MaxSize=20,
        DesiredCapacity=desired,
        AvailabilityZones=["us-west-2a"],
    )
    world.record.update(lambda now: replace(now, serving="v1", serving_groups=("prod-worker-v1",)))


def test_a_pool_that_grew_since_the_plan_is_followed(world):
    _serving(world, 4)

    def join(_line):
        for one in groups.describe(world.session, [NAME])[NAME].instances:
            if f"/api/v1/nodes/node-{one.id}" not in world.cluster.objects:
                world.cluster.add_node(f"node-{one.id}", one.id, pool="worker", version="v2")

    gate.pass_gate(world.props, Told(join))
    assert groups.describe(world.session, [NAME])[NAME].desired == 4
    assert world.record.load().evidence["gate"]["nodes"] == 4


def test_a_pool_that_outgrew_the_new_versions_limit_is_refused(world):
    _serving(world, 6)
    with pytest.raises(GateError, match=r"at most 5 nodes \(size.max\), but worker v1, which serves, has 6 now"):
        gate.pass_gate(world.props, Told())
    assert groups.describe(world.session, [NAME])[NAME].desired == 2


def test_an_adopted_group_needs_ready_nodes_and_no_proof(world):
    for instance in world.instances:
        world.cluster.add_node(f"node-{instance.id}", instance.id, pool="other", version="none")
        stored = world.cluster.get(f"/api/v1/nodes/node-{instance.id}")
        stored["metadata"]["labels"] = {}
        world.cluster.replace(f"/api/v1/nodes/node-{instance.id}", stored)
    props = {**world.props, "minimumKernelVersion": "", "kernelArguments": []}
    with pytest.raises(GateError, match="no proof"):
        gate.pass_gate({**props, "timeout": 0.001}, Told())
    gate.pass_gate({**props, "adopted": True}, Told())
    assert world.record.load().phase == "ready v2"


def test_an_api_server_that_refuses_everything_once_holds_up_no_gate(world, flaky):
    _join(world)
    flaky()
    gate.pass_gate({**world.props, "consecutive": 1}, Told())
    world.cluster.flaky = False
    assert world.record.load().phase == "ready v2"
    assert world.record.holder() == ""


def test_instances_that_are_not_as_the_version_is_written_end_it_at_once(world):
    _serving(world, 2)
    _join(world)
    written = {"imageId": "ami-12c6146b", "instanceType": "t3.micro"}
    gate.pass_gate({**world.props, "written": written}, Told())
    with pytest.raises(GateError) as caught:
        gate.pass_gate({**world.props, "written": {**written, "imageId": "ami-0bbbbbbbbbbb77190"}}, Told())
    assert "worker v2 is immutable, but 2 of its instances are not as it is written" in str(caught.value)
    for instance in world.instances:
        assert f"{instance.id} has imageId ami-12c6146b in place of ami-0bbbbbbbbbbb77190" in str(caught.value)
    gate.pass_gate({**world.props, "written": {"imageId": "ami-other"}, "adopted": True}, Told())


def _daemon_set(world, name, *, desired, ready=0):
    status = {"desiredNumberScheduled": desired, "numberReady": ready}
    path = "/apis/apps/v1/daemonsets"
    world.cluster.create(path, {"metadata": {"name": name, "namespace": "ops"}, "status": status})


def _daemon_pod(world, owner, node, *, ready=False):
    metadata = {
        "name": f"{owner}-{node}",
        "namespace": "ops",
        "ownerReferences": [{"kind": "DaemonSet", "name": owner}],
    }
    status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
    body = {"metadata": metadata, "spec": {"nodeName": node}, "status": status}
    for path in ("/api/v1/pods", "/api/v1/namespaces/ops/pods"):
        world.cluster.create(path, body)


def test_what_was_broken_before_is_told_and_not_waited_for(world):
    _join(world)
    node = f"node-{world.instances[0].id}"
    _daemon_set(world, "rotten", desired=2)
    for place_ in (node, "old-node"):
        _daemon_pod(world, "rotten", place_)
    _daemon_set(world, "nowhere", desired=0)
    told = Told()
    warned = []
    told.warn = lambda _urn, line: warned.append(line)
    gate.pass_gate({**world.props, "timeout": 600.0}, told)
    (line,) = warned
    assert "DaemonSet ops/rotten has no ready pod on any node" in line
    assert not [line for line in told.lines if "not ready" in line], "it was waited for"


@pytest.mark.parametrize("elsewhere", ["nothing", "ready"])
def test_what_is_broken_on_new_nodes_alone_is_not_hidden(world, elsewhere):
    _join(world)
    node = f"node-{world.instances[0].id}"
    _daemon_set(world, "agent", desired=2, ready=int(elsewhere == "ready"))
    _daemon_pod(world, "agent", node)
    if elsewhere == "ready":
        _daemon_pod(world, "agent", "old-node", ready=True)
    with pytest.raises(GateError, match=f"DaemonSet pod ops/agent-{node} not ready"):
        gate.pass_gate({**world.props, "timeout": 0.001}, Told())


def test_from_the_gate_on_an_autoscaler_takes_no_node_of_the_version_that_is_to_serve(world):
    _join(world)
    gate.pass_gate(world.props, Told())
    assert groups.describe(world.session, [NAME])[NAME].min == 1, "nothing serves yet: no switch, no floor"
    _serving(world, 2)
    gate.pass_gate(world.props, Told())
    view = groups.describe(world.session, [NAME])[NAME]
    assert (view.min, view.max, view.suspended) == (2, 5, ())
    assert world.record.load().frozen[NAME].min == 1
