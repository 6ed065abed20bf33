"""A small cluster behind load balancers, for drains that are judged by the requests they lose.

Two old nodes, two new ones, on instances of the simulated AWS. A Deployment with externalTrafficPolicy Local is behind
an Application Load Balancer, a DaemonSet behind a Network Load Balancer; their controllers keep the targets. Rolled as
the engine would: the old nodes are drained, then their instances end.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count

from pulumi_nodepools.aws.session import Session
from sandbox.aws import CLOCK
from sandbox.aws.balancers import TAIL
from sandbox.controllers.balancers import BalancerController, Binding
from sandbox.recorder import Recorder
from sandbox.traffic import DataPath, Route, Tally
from tests.apiserver.drain_case import NODES, Cluster, on, workload
from tests.sandbox.aws_case import IMAGE, SUBNETS, Aws

_NUMBERS = count(1)
AFTER = TAIL / CLOCK + 1.0
"""Seconds for which requests go on after the roll: until a load balancer that was left alone has lost what it loses."""


@dataclass
class Stage:
    """One pool behind load balancers: its nodes with their instances, its services with the ways to them."""

    cluster: Cluster
    aws: Aws
    name: str = field(init=False)
    space: str = field(init=False)
    instances: dict[str, str] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = f"pool{next(_NUMBERS)}"
        self.space = self.cluster.namespace()
        self.session = Session("us-west-2")

    def target_group(self, service: str, protocol: str, *, local: bool, delay: int) -> str:
        """With health checks of the node's own pods if `local`, as the controllers make them. Seconds of AWS."""
        vpc = self.aws.ec2.describe_subnets(SubnetIds=SUBNETS[:1])["Subnets"][0]["VpcId"]
        made = self.aws.elbv2.create_target_group(
            Name=f"{self.name}-{service}",
            Protocol=protocol,
            Port=30080,
            VpcId=vpc,
            HealthCheckIntervalSeconds=10,
            HealthCheckTimeoutSeconds=5,
            HealthyThresholdCount=2,
            HealthCheckPort="31999" if local else "traffic-port",
        )
        arn = str(made["TargetGroups"][0]["TargetGroupArn"])
        wait = {"Key": "deregistration_delay.timeout_seconds", "Value": str(delay)}
        self.aws.elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[wait])
        self.routes[service] = Route(f"{self.space}/{service}", arn, local)
        return arn

    def nodes(self, version: str, number: int) -> list[str]:
        """Ready nodes on instances of their own, labelled `pool` and `family`."""
        names = self.cluster.nodes(f"{self.name}-{version}", number, family=self.name)
        for name in names:
            made = self.aws.ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1, SubnetId=SUBNETS[0])
            self.instances[name] = made["Instances"][0]["InstanceId"]
            patch = {"spec": {"providerID": f"aws:///us-west-2a/{self.instances[name]}"}}
            self.cluster.request("PATCH", f"{NODES}/{name}", patch)
        return names

    def deployment(self, name: str, replicas: int) -> None:
        """One pod per old or new node at most. A pod ends as soon as it is told to: health checks are slower."""
        spread = {"labelSelector": {"matchLabels": {"app": name}}, "topologyKey": "kubernetes.io/hostname"}
        affinity = on(f"{self.name}-old", f"{self.name}-new")["affinity"]
        affinity["podAntiAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": [spread]}
        quick = {"sandbox.nodepools.dev/stop-delay": "0.1"}
        self.cluster.deployment(self.space, name, replicas, affinity=affinity, annotations=quick)
        self.cluster.budget(self.space, name, maxUnavailable=1)
        self.cluster.service(self.space, name)

    def daemon_set(self, name: str) -> None:
        spec = workload(name, 0, nodeSelector={"family": self.name})
        del spec["replicas"]
        body = {"metadata": {"name": name}, "spec": spec}
        self.cluster.request("POST", f"/apis/apps/v1/namespaces/{self.space}/daemonsets", body)
        self.cluster.service(self.space, name)

    def states(self, service: str) -> dict[str, str]:
        """Of each registered target, by node."""
        asked = self.aws.elbv2.describe_target_health(TargetGroupArn=self.routes[service].arn)
        told = {each["Target"]["Id"]: each["TargetHealth"]["State"] for each in asked["TargetHealthDescriptions"]}
        return {name: told[each] for name, each in self.instances.items() if each in told}

    def controllers(self) -> BalancerController:
        bindings = [Binding(route, {"family": self.name}) for route in self.routes.values()]
        return BalancerController(self.cluster.client, self.aws.elbv2, self.aws.endpoint, bindings)

    def end(self, names: list[str]) -> None:
        """The instances, and then their Nodes, as the engine's deletion of the group does."""
        if names:
            self.aws.ec2.terminate_instances(InstanceIds=[self.instances[name] for name in names])
        for name in names:
            self.cluster.request("DELETE", f"{NODES}/{name}")


def rolled(
    stage: Stage, drain: Callable[[Stage, list[str]], list[str]], services: Sequence[str] = ("web", "ingress")
) -> dict[str, Tally]:
    """Replace two old nodes by two new ones under requests to the services; what became of the requests.

    `drain` returns the nodes whose instances are to end.
    """
    old = stage.nodes("old", 2)
    stage.target_group("ingress", "TCP", local=True, delay=0)
    stage.daemon_set("ingress")
    if "web" in services:
        stage.target_group("web", "HTTP", local=True, delay=30)
        stage.deployment("web", 2)
    with ExitStack() as running:
        running.enter_context(stage.controllers())
        stage.cluster.wait(lambda: all(stage.states(name) == dict.fromkeys(old, "healthy") for name in services))
        recorder = Recorder(stage.cluster.client, stage.name).start()
        began = time.time()
        stage.nodes("new", 2)
        stage.end(drain(stage, old))
        ended = time.time() + AFTER
        stage.cluster.wait(lambda: time.time() >= ended)
        path = DataPath.recorded(stage.aws.endpoint, recorder.stop())
    assert not recorder.gaps
    return {name: path.requests(stage.routes[name], began, ended) for name in services}
