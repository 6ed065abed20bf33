"""The sandbox that rolls are played on: pools with groups and workloads, and the faults of the world around them."""

import json
import os
import signal
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pulumi_nodepools import names
from pulumi_nodepools.bootstrap import Bootstrap, KubeadmJoin, render
from pulumi_nodepools.cluster import lease
from pulumi_nodepools.cluster.lease import LEASES
from sandbox.aws.switches import write_switches
from sandbox.aws.world import IMAGES, SUBNETS
from sandbox.engine import REPOSITORY
from sandbox.stack import REGION, ROOT_VARIABLE, Sandbox
from tests.apiserver.drain_case import Cluster
from tests.chaos.aws_log import AwsLog
from tests.chaos.invariants import Death, leftovers
from tests.chaos.schedule import Fault

CLUSTER = "prod"
SIZE = 3
OLD, NEW = "v1", "v2"
_DRAIN = 60.0
TIMES = {"gate": 60.0, "cutover": 2 * _DRAIN, "drain": 2 * _DRAIN}
"""Deadlines in seconds. A cutover drains too, if a version stands by; a drain may wait as long for its turn."""
_NODE_TIMEOUT = 40.0
_RIG = "chaos"
_ROLE = "arn:aws:iam::123456789012:role/nodepools-drain"
_ANYTHING = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
_NODES = "/api/v1/nodes"
_WORKLOADS: dict[str, tuple[int, dict[str, Any] | None]] = {
    "web": (3, {"maxUnavailable": 1}),
    "api": (2, {"minAvailable": 1}),
    "plain": (2, None),
}
"""Replicas and budget of each workload; every one has a Service."""


class Stage:
    """One sandbox for all rolls. Everything here speaks to the servers directly, past every proxy."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.cluster = Cluster(sandbox.control_plane)
        self.aws_log = AwsLog(sandbox.root / "aws")
        self.aws_log.name(_RIG, _ANYTHING)
        self.autoscaling, self.ec2 = (_client(sandbox, name) for name in ("autoscaling", "ec2"))
        self.identity = _client(sandbox, "sts").get_caller_identity()
        """Whom AWS takes every caller for, save for what it lets each of them do."""

    def fill_zones(self, zones: list[str]) -> None:
        """From now on no instance can be started in these."""
        write_switches(self.sandbox.root / "aws", {"zoneWithoutCapacity": zones})

    def pause(self, part: str, seconds: float) -> bool:
        """Stop a part of the control plane in its tracks, and let it go on later; False if it does not run."""
        pid = self.sandbox.processes.pid(part)
        if pid is None:
            return False
        os.kill(pid, signal.SIGSTOP)
        _later(seconds, lambda: os.kill(pid, signal.SIGCONT))
        return True

    def kill(self, part: str, seconds: float) -> bool:
        """End a part of the control plane at once; it is started again later. False if it does not run."""
        pid = self.sandbox.processes.pid(part)
        if pid is None:
            return False
        os.kill(pid, signal.SIGKILL)
        _later(seconds, lambda: self.sandbox.processes.start_again(part))
        return True


class Pool:
    """A pool with an old version that serves and a new one that has been created beside it."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage, self.name = stage, name
        self.namespace = stage.cluster.namespace()
        self.group_names = {version: names.group_name(CLUSTER, name, version) for version in (OLD, NEW)}
        self.deaths: list[Death] = []
        stage.aws_log.name(name, _rights_of_a_drain(stage.identity["Arn"]))

    def begin(self) -> None:
        """Return when the old version runs the workloads; the new one is just starting."""
        cluster = self.stage.cluster
        self.create(OLD)
        cluster.wait(lambda: self.ready(OLD) == SIZE, seconds=90, what=f"{SIZE} nodes of {self.name}")
        self._serve(OLD)
        for app, (replicas, budget) in _WORKLOADS.items():
            cluster.deployment(self.namespace, app, replicas, nodeSelector={names.POOL_LABEL: self.name})
            service = {"metadata": {"name": app}, "spec": {"selector": {"app": app}, "ports": [{"port": 80}]}}
            cluster.request("POST", f"/api/v1/namespaces/{self.namespace}/services", service)
            if budget:
                cluster.budget(self.namespace, app, **budget)
        cluster.wait(self._quiet, seconds=90, what=f"the workloads of {self.name}")

    def create(self, version: str) -> None:
        """The version's template and group, as the engine creates them; nodes come by themselves."""
        name = self.group_names[version]
        data = {"ImageId": next(iter(IMAGES)), "InstanceType": "m5.2xlarge", "UserData": self._user_data(version, name)}
        self.stage.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        self.stage.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=1,
            MaxSize=6,
            DesiredCapacity=SIZE,
            LaunchTemplate={"LaunchTemplateName": name, "Version": "1"},
            VPCZoneIdentifier=",".join(SUBNETS),
            LifecycleHookSpecificationList=[
                {
                    "LifecycleHookName": names.LAUNCH_HOOK,
                    "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
                    "DefaultResult": "ABANDON",
                }
            ],
        )

    def delete(self, version: str) -> None:
        """As the engine does once the version's hook is gone; returns when its nodes are."""
        self.stage.cluster.wait(lambda: self._deleted(version), what=f"the end of the group of {self.name} {version}")
        self.stage.cluster.wait(lambda: not self.nodes(version), what=f"the end of the nodes of {self.name} {version}")

    def _deleted(self, version: str) -> bool:
        """False while the simulated AWS stumbles over a dead instance of the group, and leaves the others running."""
        name = self.group_names[version]
        try:
            self.stage.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
        except self.stage.autoscaling.exceptions.ClientError:
            alive = [node["spec"]["providerID"].rpartition("/")[2] for node in self.nodes(version)]
            if alive:
                self.stage.ec2.terminate_instances(InstanceIds=alive)
            return version not in self.groups()
        return True

    def end(self) -> None:
        """Leave nothing that would cost the next roll time."""
        request, kept = self.stage.cluster.request, (200, 202, 404)
        request("DELETE", f"/api/v1/namespaces/{self.namespace}", expect=kept)
        # Before its nodes: the next pool's may get their names, and with them what is still bound to these.
        self.stage.cluster.wait(self._emptied, what=f"the end of the pods of {self.name}")
        for version in self.groups():
            self.delete(version)
        for path in (self._record_path, self._lease_path):
            request("DELETE", path, expect=kept)

    def _emptied(self) -> bool:
        pods = self.stage.cluster.pods(self.namespace)
        for pod in pods:
            path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}?gracePeriodSeconds=0"
            self.stage.cluster.request("DELETE", path, expect=(200, 202, 404))
        return not pods

    def _user_data(self, version: str, group: str) -> str:
        text = render(
            "el7",
            Bootstrap(
                cluster=CLUSTER,
                endpoint=self.stage.sandbox.control_plane.endpoint,
                certificate_authority="Q0E=",
                join=KubeadmJoin("/nodepools/prod/join-token", ("sha256:" + "a1" * 32,)),
                region=REGION,
                pool=self.name,
                version=version,
                group=group,
            ),
        )
        return b64encode(text.encode()).decode()

    def _serve(self, version: str) -> None:
        """What an earlier cutover has left."""
        body = {"schema": 1, "pool": self.name, "serving": version, "phase": "serving"}
        body["servingGroups"] = [self.group_names[version]]
        metadata = {"name": names.record_name(self.name), "labels": {names.POOL_LABEL: self.name}}
        path = f"/api/v1/namespaces/{names.RECORD_NAMESPACE}/configmaps"
        self.stage.cluster.request("POST", path, {"metadata": metadata, "data": {"record.json": json.dumps(body)}})

    @property
    def _record_path(self) -> str:
        return f"/api/v1/namespaces/{names.RECORD_NAMESPACE}/configmaps/{names.record_name(self.name)}"

    @property
    def _lease_path(self) -> str:
        return f"{LEASES}/{names.record_name(self.name)}"

    def props(self, active: str, other: str, *, stands_by: bool) -> dict[str, Any]:
        """Of gate, cutover and drain hook, for a switch to `active`; the other version goes, or stands by."""
        settings = {"batchSize": "50%", "timeout": _NODE_TIMEOUT, "totalTimeout": _DRAIN, "batchSoak": 0.0}
        settings["nlbSettle"] = 0.0
        uid = self.stage.cluster.client.cluster_uid
        place = {"schemaVersion": 1, "cluster": CLUSTER, "clusterUid": uid, "account": self.stage.identity["Account"]}
        place |= {"region": REGION, "access": {"kind": "kubeconfig"}, "pool": self.name, "drain": settings}
        serving = place | {"active": active, "groups": self._refs(active)}
        others = [{"version": other, "state": "standby", "groups": self._refs(other)}] if stands_by else []
        gate = serving | {
            "hook": f"{CLUSTER}/{self.name}/{active}",
            "timeout": TIMES["gate"],
            "consecutive": 1,
            "interval": 0.5,
        }
        gate["limits"] = {ref["name"]: [1, 6] for ref in self._refs(active)}
        return {
            "gate": gate,
            "cutover": serving | {"proved": active, "generation": 2, "others": others},
            "drain": None if stands_by else place | {"version": other, "groups": self._refs(other)},
        }

    def _refs(self, version: str) -> list[dict[str, str]]:
        group = self.groups()[version]
        return [{"name": group["AutoScalingGroupName"], "arn": group["AutoScalingGroupARN"]}]

    def groups(self) -> dict[str, dict[str, Any]]:
        """The pool's groups by version."""
        wanted = {name: version for version, name in self.group_names.items()}
        found = self.stage.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=list(wanted))
        return {wanted[group["AutoScalingGroupName"]]: group for group in found["AutoScalingGroups"]}

    def nodes(self, version: str) -> list[dict[str, Any]]:
        selector = f"{names.POOL_LABEL}%3D{self.name},{names.VERSION_LABEL}%3D{version}"
        items: list[dict[str, Any]] = self.stage.cluster.request("GET", f"{_NODES}?labelSelector={selector}")["items"]
        return items

    def ready(self, version: str) -> int:
        return sum(_is_ready(node) for node in self.nodes(version))

    def settled(self) -> bool:
        """Whether each group has the nodes that it wants and all workloads are back."""
        whole = all(self.ready(version) == group["DesiredCapacity"] for version, group in self._unfrozen())
        return whole and self._quiet()

    def _unfrozen(self) -> Iterator[tuple[str, dict[str, Any]]]:
        return ((version, group) for version, group in self.groups().items() if not group["SuspendedProcesses"])

    def _quiet(self) -> bool:
        ready = sum(replicas for replicas, _ in _WORKLOADS.values())
        pods = self.stage.cluster.pods(self.namespace)
        return len(pods) == ready == len(self.stage.cluster.ready(self.namespace))

    def pods_on(self, version: str) -> list[str]:
        """Pods that run, or still end, on the version's nodes."""
        there = {node["metadata"]["name"] for node in self.nodes(version)}
        pods = self.stage.cluster.pods(self.namespace)
        return [pod["metadata"]["name"] for pod in pods if pod["spec"].get("nodeName") in there]

    def strike(self, version: str) -> bool:
        """A machine dies with all that runs on it: its Node goes, and its pods, as the pod collector would see to.

        False if there is none.
        """
        node = min(self.nodes(version), key=lambda one: str(one["metadata"]["name"]), default=None)
        if node is None:
            return False
        name, cluster, died = node["metadata"]["name"], self.stage.cluster, time.time()
        self.stage.ec2.terminate_instances(InstanceIds=[node["spec"]["providerID"].rpartition("/")[2]])
        # Until its Node is gone the scheduler may still send pods there.
        cluster.wait(lambda: name not in {one["metadata"]["name"] for one in self.nodes(version)})
        lost = [pod for pod in cluster.pods(self.namespace) if pod["spec"].get("nodeName") == name]
        apps = {pod["metadata"]["labels"]["app"] for pod in lost}
        self.deaths.append(Death(name, died, frozenset(f"{self.namespace}/{app}" for app in apps)))
        for pod in lost:
            path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}?gracePeriodSeconds=0"
            cluster.request("DELETE", path, expect=(200, 202, 404))
        return True

    def act(self, fault: Fault) -> bool:
        """Let a fault of the world happen; False if nothing was there to happen to."""
        hit, _, what = fault.kind.partition("/")
        if hit == "pause":
            return self.stage.pause(what, fault.seconds)
        if hit == "kill":
            return self.stage.kill(what, fault.seconds)
        if hit == "death":
            return self.strike(OLD if what == "old" else NEW)
        _later(fault.seconds, lambda: self.stage.fill_zones([]))  # they have been full since the roll began
        return True

    def leftovers(self, serving: str) -> list[str]:
        """What is not as it should be now that the roll is over."""
        request = self.stage.cluster.request
        record = json.loads(request("GET", self._record_path)["data"]["record.json"])
        client = self.stage.cluster.client
        holder, _ = lease.noted(client, names.record_name(self.name))
        turns, whose = lease.noted(client, names.DRAIN_LEASE)
        if whose.startswith(f"{self.name} "):
            holder = holder or turns
        return leftovers(
            self.name, serving, nodes=self.nodes(serving), groups=self.groups(), record=record, holder=holder
        )


@contextmanager
def running_stage(folder: Path | None = None) -> Iterator[Stage]:
    """A sandbox of its own, with an audit log."""
    root = folder or Path(os.environ.get(ROOT_VARIABLE) or REPOSITORY / ".sandbox") / "chaos"
    with Sandbox(root=root, python=Path(sys.executable), audit=True) as sandbox:
        yield Stage(sandbox)


def _rights_of_a_drain(caller: str) -> dict[str, Any]:
    """The documented ones, with the caller in the place of the role that they name."""
    text = (REPOSITORY / "docs" / "iam" / "drain.json").read_text()
    rights: dict[str, Any] = json.loads(text.replace(_ROLE, caller))
    return rights


def _client(sandbox: Sandbox, service: str) -> Any:
    import boto3

    keys = {"aws_access_key_id": _RIG, "aws_secret_access_key": "sandbox"}
    return boto3.client(service, endpoint_url=sandbox.aws_endpoint, region_name=REGION, **keys)


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions") or []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def _later(seconds: float, act: Any) -> None:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
