"""Two versions of a pool, moved to and fro by runs that may be killed at any call they make.

The gate and the cutover are whole, against moto and a cluster in memory; only the drain is played, by cordons. What a
killed process still holds (its Lease) is left as it was.
"""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from moto import mock_aws

from pulumi_nodepools.aws import groups
from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.cluster.drainer import NotYet
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.drain.model import NodeView, WorldView
from pulumi_nodepools.hooks import cutting_over, draining, gate, place
from pulumi_nodepools.hooks.progress import Engine
from pulumi_nodepools.names import OWNER_ANNOTATION, POOL_LABEL, VALIDATED_LABEL, VERSION_LABEL
from tests.unit.memory_cluster import MemoryCluster

LIMITS = (1, 5)
START = 2
GROUPS = {"v1": "prod-worker-v1", "v2": "prod-worker-v2"}
REGION = "us-west-2"
NODES = "/api/v1/nodes"
TURNS = 5


class Killed(BaseException):
    """The process ended at this call: nothing that it still wants to do happens."""


class Mortal:
    """Counts down a process's calls to the outside; at the last one, and ever after, there is no process."""

    def __init__(self):
        self.left = None

    def call(self):
        if self.left is None:
            return
        if self.left <= 0:
            raise Killed
        self.left -= 1


class JoiningCluster(MemoryCluster):
    """Instances join as nodes, and leave with them, whenever somebody looks; every call may be a process's last."""

    def __init__(self, mortal):
        super().__init__()
        self.mortal = mortal
        self.instances = dict

    def _answer(self, *_):
        self.mortal.call()

    def list_raw(self, path, **query):
        self.mortal.call()
        if path == NODES:
            self.settle()
        yield from super().list_raw(path, **query)

    def settle(self):
        alive, process = self.instances(), self.mortal.left
        self.mortal.left = None
        for path in [path for path in self.objects if path.startswith(NODES) and path.rsplit("/", 1)[1] not in alive]:
            self.delete(path)
        for instance, version in alive.items():
            if f"{NODES}/{instance}" not in self.objects:
                self.add_node(instance, instance, pool="worker", version=version)
        self.mortal.left = process


class Lifecycle(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.delenv("AWS_ENDPOINT_URL", raising=False)
        self.patch.delenv("AWS_PROFILE", raising=False)
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            self.patch.setenv(key, "testing")
        # Reading them takes moto longer than all the rest of an example.
        self.patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        self.aws = mock_aws()
        self.aws.start()
        self.mortal = Mortal()
        self.cluster = JoiningCluster(self.mortal)
        self.cluster.instances = self._instances
        self.session = Session(REGION)
        self.record = PoolRecord(self.cluster, "worker")

    def teardown(self):
        self.aws.stop()
        self.patch.undo()

    @initialize()
    def begin(self):
        """v1 serves with two nodes; the engine has just made v2 with as many."""
        self.session.call(
            "ec2",
            "create_launch_template",
            LaunchTemplateName="template",
            LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"},
        )
        for name in GROUPS.values():
            self.session.call(
                "autoscaling",
                "create_auto_scaling_group",
                AutoScalingGroupName=name,
                LaunchTemplate={"LaunchTemplateName": "template", "Version": "1"},
                MinSize=LIMITS[0],
                MaxSize=LIMITS[1],
                DesiredCapacity=START,
                AvailabilityZones=[f"{REGION}a"],
            )
        self.arns = {name: view.arn for name, view in groups.describe(self.session, list(GROUPS.values())).items()}
        self.record.update(lambda now: replace(now, serving="v1", serving_groups=(GROUPS["v1"],)))
        call = Session.call
        self.patch.setattr(Session, "call", lambda *args, **params: (self.mortal.call(), call(*args, **params))[1])
        self.patch.setattr(place.Client, "connect", lambda _access: self.cluster)
        self.patch.setattr(place, "Session", lambda *_: self.session)
        self.patch.setattr(draining, "SETTLE_SECONDS", 0.0)
        self.patch.setattr(draining, "drain", self._drain)
        # Only asks, and what it asks is tests/unit/aws's.
        self.patch.setattr(draining.aws_rights, "require", lambda *_args, **_options: None)
        self.drained = Counter()
        self.floor = START

    # -- what stands outside the process
    def _instances(self):
        views = groups.describe(self.session, list(GROUPS.values()))
        versions = {name: version for version, name in GROUPS.items()}
        return {one.id: versions[view.name] for view in views.values() for one in view.instances}

    def _nodes(self):
        self.cluster.settle()
        return [raw for path, raw in self.cluster.objects.items() if path.startswith(NODES)]

    def _views(self):
        return [
            NodeView(
                name=raw["metadata"]["name"],
                labels={key: raw["metadata"]["labels"][key] for key in (POOL_LABEL, VERSION_LABEL, VALIDATED_LABEL)},
                unschedulable=bool(raw["spec"].get("unschedulable")),
                ready=True,
                provider_id=raw["spec"]["providerID"],
            )
            for raw in self._nodes()
        ]

    def _drain(self, _client, *, nodes, before_batch, owner, **_):
        for _ in range(TURNS):
            views = self._views()
            try:
                before_batch(WorldView(views, []))
                break
            except NotYet:
                continue
        else:
            raise AssertionError(f"what has to grow first is not there after {TURNS} looks")
        for view in views:
            if nodes(view) and not view.unschedulable:
                cordon = {"metadata": {"annotations": {OWNER_ANNOTATION: owner}}, "spec": {"unschedulable": True}}
                self.cluster.patch(f"{NODES}/{view.name}", cordon)
        return _Report()

    # -- what people do
    @rule(
        active=st.sampled_from(["v1", "v2"]),
        state=st.sampled_from(["standby", "retired"]),
        calls=st.none() | st.integers(0, 90),
    )
    def up(self, active, state, calls):
        """One `pulumi up`; `calls` are what it may make before it is killed."""
        self.mortal.left = calls
        try:
            self._run(active, state)
        except Killed:
            return
        finally:
            self.mortal.left = None
        self._is_done(active, state)

    def _run(self, active, state):
        gate.pass_gate(self._gate(active), Engine(None))
        cutting_over.cut_over(self._cutover(active, state), Engine(None))

    @rule(size=st.integers(1, 4))
    def scale_what_serves(self, size):
        (name,) = self.record.load().serving_groups
        view = groups.describe(self.session, [name])[name]
        self.session.call(
            "autoscaling",
            "set_desired_capacity",
            AutoScalingGroupName=name,
            DesiredCapacity=max(view.min, min(size, view.max)),
        )
        self.floor = self._usable()

    def _props(self, version):
        name = GROUPS[version]
        return {
            "cluster": "prod",
            "clusterUid": self.cluster.cluster_uid,
            "account": self.session.account(),
            "region": REGION,
            "access": {"kind": "kubeconfig"},
            "pool": "worker",
            "active": version,
            "groups": [{"name": name, "arn": self.arns[name]}],
        }

    def _gate(self, version):
        waits = {"timeout": 5.0, "consecutive": 1.0, "interval": 0.001}
        return {**self._props(version), **waits, "limits": {GROUPS[version]: list(LIMITS)}}

    def _cutover(self, version, state):
        other = "v2" if version == "v1" else "v1"
        others = [{"version": other, "state": state, "groups": self._props(other)["groups"]}]
        return {**self._props(version), "proved": version, "generation": 2.0, "others": others}

    # -- what must hold
    def _usable(self):
        """Nodes of the version that serves, as far as they take pods."""
        serving = self.record.load().serving
        mine = [raw for raw in self._nodes() if raw["metadata"]["labels"][VERSION_LABEL] == serving]
        return sum(not raw["spec"].get("unschedulable") for raw in mine)

    def _is_done(self, active, state):
        """The same end, whatever went before."""
        record = self.record.load()
        other = "v2" if active == "v1" else "v1"
        assert (record.serving, record.pending, record.phase) == (active, "", "serving")
        assert record.states == {active: "active", other: state}
        views = groups.describe(self.session, list(GROUPS.values()))
        serving, standing = views[GROUPS[active]], views[GROUPS[other]]
        assert (serving.min, serving.max, serving.suspended) == (*LIMITS, ())
        assert set(record.frozen) == {standing.name}
        assert "Launch" in standing.suspended
        for raw in self._nodes():
            mine = raw["metadata"]["labels"][VERSION_LABEL] == active
            assert bool(raw["spec"].get("unschedulable")) != mine, raw["metadata"]["name"]
            assert mine == (OWNER_ANNOTATION not in raw["metadata"].get("annotations", {}))
        if state == "retired":
            assert standing.desired == 0

    @invariant()
    def capacity_never_falls(self):
        assert self._usable() >= self.floor

    @invariant()
    def whatever_was_changed_can_be_undone(self):
        frozen = self.record.load().frozen
        for view in groups.describe(self.session, list(GROUPS.values())).values():
            was = frozen.get(view.name)
            assert set(view.suspended) <= set(was.suspended if was else ())
            assert (view.min, view.max) == LIMITS or (was and (was.min, was.max) == LIMITS)


class _Report:
    def to_json(self):
        return {"schemaVersion": 1, "nodes": {}}


Lifecycle.TestCase.settings = settings(max_examples=10, stateful_step_count=8, deadline=None, phases=[Phase.generate])
TestLifecycle = Lifecycle.TestCase
