"""The load-balancer controllers: nodes become targets of services' target groups, and leave with the exclusion label.

What the AWS Load Balancer Controller (instance targets) and the cloud provider's service controller have in common: a
Ready node without the label `node.kubernetes.io/exclude-from-external-load-balancers` is a target, any other is not.
Tells the simulated AWS as well which nodes pass health checks: with externalTrafficPolicy Local those with a ready pod.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import urllib3

from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.names import EXCLUSION_LABEL
from sandbox.aws import PROBES
from sandbox.controllers.loop import Controller, instance_of
from sandbox.recorder import NODES, SLICES
from sandbox.traffic import Route
from sandbox.watching import Object

REACTION = 1.0
"""Seconds from a change of nodes to that of the targets."""


@dataclass(frozen=True)
class Binding:
    """A target group that the controller keeps for a service's route: its targets are the nodes with these labels.

    Without labels others register its targets, and only health checks are answered.
    """

    route: Route
    nodes: Mapping[str, str]


class BalancerController(Controller):
    """`elbv2` is a boto3 client of the simulated AWS at `endpoint`."""

    def __init__(self, client: Client, elbv2: Any, endpoint: str, bindings: Sequence[Binding]) -> None:
        super().__init__(client, (NODES, SLICES))
        self._elbv2 = elbv2
        self._probes = endpoint + PROBES
        self._bindings = bindings
        self._http = urllib3.PoolManager(retries=False)
        self._told: dict[str, list[str]] = {}
        self._wanted: dict[str, set[str]] = {}
        self._due: dict[str, float] = {}

    def look(self, now: float) -> None:
        """Answer health checks at once; change targets REACTION seconds after they should be others."""
        self._answer_checks()
        for binding in self._bindings:
            arn, wanted = binding.route.arn, self._targets(binding)
            if binding.nodes and wanted != self._wanted.get(arn):
                self._wanted[arn] = wanted
                self._due.setdefault(arn, now + REACTION)
        for arn in [arn for arn, due in self._due.items() if due <= now]:
            self._reconcile(arn, self._wanted[arn])
            del self._due[arn]

    def _targets(self, binding: Binding) -> set[str]:
        nodes = (node for node in self.items(NODES) if binding.nodes.items() <= node["metadata"]["labels"].items())
        behind = {
            instance_of(node) for node in nodes if _ready(node) and EXCLUSION_LABEL not in node["metadata"]["labels"]
        }
        return behind - {""}  # a Node that has joined and whose provider id its cloud controller has not set yet

    def _reconcile(self, arn: str, wanted: set[str]) -> None:
        health = self._elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        there = {each["Target"]["Id"] for each in health if each["TargetHealth"]["State"] != "draining"}
        for call, ids in (
            (self._elbv2.register_targets, wanted - there),
            (self._elbv2.deregister_targets, there - wanted),
        ):
            if ids:
                call(TargetGroupArn=arn, Targets=[{"Id": each} for each in sorted(ids)])

    def _answer_checks(self) -> None:
        told = {binding.route.arn: self._answering(binding.route) for binding in self._bindings if binding.route.local}
        if told != self._told:
            answer = self._http.request("PUT", self._probes, body=json.dumps(told), timeout=10)
            if answer.status == 200:
                self._told = told

    def _answering(self, route: Route) -> list[str]:
        """Instances of nodes with a ready pod of the service."""
        namespace, _, name = route.service.partition("/")
        slices = [
            item
            for item in self.items(SLICES)
            if item["metadata"]["namespace"] == namespace
            and (item["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name
        ]
        endpoints = [endpoint for item in slices for endpoint in item.get("endpoints") or []]
        nodes = {each.get("nodeName") for each in endpoints if (each.get("conditions") or {}).get("ready") is not False}
        return sorted(instance_of(node) for node in self.items(NODES) if node["metadata"]["name"] in nodes)


def _ready(node: Object) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
