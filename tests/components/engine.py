"""A mock engine that records what a program registers, with the edges that the real engine would see."""

import gc
import json
import runpy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, set_mocks
from pulumi.runtime import test as pulumi_test

ACCOUNT = "123456789012"
_COMPUTED = {
    "aws:autoscaling/group:Group": lambda name: {"arn": f"arn:aws:autoscaling:::{name}"},
    "aws:ec2/launchTemplate:LaunchTemplate": lambda _name: {"latestVersion": 1},
    "eks:index:Cluster": lambda _name: {
        "clusterSecurityGroupId": "sg-0123456789abcdef0",
        "kubeconfig": {"clusters": [{"cluster": {"server": "https://eks", "certificate-authority-data": "LS0t"}}]},
    },
    "aws:iam/role:Role": lambda name: {"arn": f"arn:aws:iam::{ACCOUNT}:role/{name}"},
    "aws:iam/instanceProfile:InstanceProfile": lambda name: {"arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/{name}"},
}

_OTHER_STACK = {
    "endpoint": "https://api.example.com",
    "certificateAuthority": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
    "nodeSecurityGroup": "sg-0123456789abcdef0",
}
_EKS_CLUSTER = {
    "endpoint": "https://eks.example.com",
    "certificateAuthorities": [{"data": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"}],
    "kubernetesNetworkConfigs": [{"serviceIpv4Cidr": "172.20.0.0/16"}],
    "vpcConfig": {"subnetIds": ["subnet-0aaaaaaaaaaaaaaa1"], "clusterSecurityGroupId": "sg-0123456789abcdef0"},
}


@dataclass
class Registration:
    """One resource as it reached the engine; edges are logical names."""

    type: str
    name: str
    urn: str
    parent: str
    inputs: dict[str, Any]
    dependencies: set[str]
    property_dependencies: dict[str, set[str]]
    ignore_changes: list[str] = field(default_factory=list)


class _Mocks(mocks.Mocks):
    def __init__(self, account: str, *, preview: bool) -> None:
        self.account = account
        self.preview = preview
        self.calls: list[str] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        computed = _COMPUTED.get(args.typ, lambda _name: {})(args.inputs.get("name", args.name))
        if args.typ == "pulumi:pulumi:StackReference":
            return args.name, args.inputs | {"outputs": _OTHER_STACK}
        if self.preview and args.custom:
            return "", dict.fromkeys(computed, rpc.UNKNOWN) | args.inputs
        generation = {"generation": 1} if args.typ.endswith(":ReadinessGate") else {}
        return f"{args.name}-id", args.inputs | computed | generation

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        self.calls.append(args.token)
        if args.token == "aws:eks/getCluster:getCluster":
            return _EKS_CLUSTER, []
        return {"accountId": self.account, "arn": "", "id": "", "userId": ""}, []


class _Monitor(mocks.MockMonitor):
    def __init__(self, mocks_: _Mocks) -> None:
        super().__init__(mocks_)
        self.registered: list[Registration] = []

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the real engine does: the whole chain of parents' types, without the stack's."""
        above = parent.split("::")[2] if parent else ""
        chain = type_ if above in ("", "pulumi:pulumi:Stack") else f"{above}${type_}"
        return f"urn:pulumi:prod::{pulumi.get_project()}::{chain}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        response = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            self.registered.append(
                Registration(
                    type=request.type,
                    name=request.name,
                    urn=response.urn,
                    parent=_name(request.parent),
                    inputs=rpc.deserialize_properties(request.object, True),
                    dependencies={_name(urn) for urn in request.dependencies},
                    property_dependencies={
                        key: {_name(urn) for urn in found.urns} for key, found in request.propertyDependencies.items()
                    },
                    ignore_changes=list(request.ignoreChanges),
                )
            )
        return response


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


@dataclass
class Recording:
    """Everything one run of a program registered and invoked."""

    registered: list[Registration]
    calls: list[str]
    result: Any

    def of(self, type_: str) -> list[Registration]:
        return [one for one in self.registered if one.type.endswith(type_)]

    def __getitem__(self, name: str) -> Registration:
        found = [one for one in self.registered if one.name == name]
        assert len(found) == 1, f"{len(found)} resources are named {name}: {[one.name for one in self.registered]}"
        return found[0]


def run(
    program: Callable[[], Any], *, preview: bool = False, account: str = ACCOUNT, project: str = "nodepools"
) -> Recording:
    """Run `program` against the mock engine; whatever it raises comes through, also from inside an apply."""
    answers = _Mocks(account, preview=preview)
    monitor = _Monitor(answers)
    set_mocks(answers, project=project, stack="prod", preview=preview, monitor=monitor)
    held: list[Any] = []
    try:
        pulumi_test(lambda: held.append(program()))()
    finally:
        # Futures that failed beside the first one log when they are collected. If that happens while pytest renders a
        # failure, Python 3.11 gives up with "AST constructor recursion depth mismatch" and hides which test it was.
        gc.collect()
    return Recording(monitor.registered, answers.calls, held[0])


def run_program(path: Path, config: dict[str, Any], project: str = "nodepools") -> Recording:
    """Run a whole program with a stack's configuration, as the engine's host would."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    pulumi.runtime.set_all_config(texts)
    try:
        return run(lambda: runpy.run_path(str(path), run_name="__main__"), project=project)
    finally:
        pulumi.runtime.set_all_config({})


def resolved(output: pulumi.Output[Any], into: list[Any]) -> None:
    """Put an output's value into a list; read it after `run` has returned."""
    output.apply(into.append)
