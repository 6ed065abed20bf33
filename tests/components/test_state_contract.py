"""Strings that live in users' state. A change here breaks existing stacks: add an alias or a shim instead."""

import pickle
import subprocess
import sys

import dill
import pytest

from pulumi_nodepools import BlueGreenNodePool, blue_green, drainer_access, host_validation, names, node_pool
from pulumi_nodepools.hooks import cutover, drain_hook, readiness_gate, soak_gate, version_lock
from tests.components.conftest import make_nodes, make_pool
from tests.components.engine import run


def test_types_and_logical_names(surveyed) -> None:
    surveyed()
    recorded = run(lambda: BlueGreenNodePool("worker", make_pool(smoke_test="true")))
    assert {one.name: one.type for one in recorded.registered} == {
        "worker": "nodepools:aws:BlueGreenNodePool",
        "worker-7.7.1908": "nodepools:aws:NodePool",
        "worker-7.7.1908-lock": "pulumi-python:dynamic/nodepools:VersionLock",
        "worker-7.7.1908-role": "aws:iam/role:Role",
        "worker-7.7.1908-role-join": "aws:iam/rolePolicy:RolePolicy",
        "worker-7.7.1908-role-0": "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "worker-7.7.1908-profile": "aws:iam/instanceProfile:InstanceProfile",
        "worker-7.7.1908-template": "aws:ec2/launchTemplate:LaunchTemplate",
        "worker-7.7.1908-group": "aws:autoscaling/group:Group",
        "worker-7.7.1908-drain": "pulumi-python:dynamic/nodepools:DrainHook",
        "worker-gate": "pulumi-python:dynamic/nodepools:ReadinessGate",
        "worker-smoke-test": "command:local:Command",
        "worker-cutover": "pulumi-python:dynamic/nodepools:Cutover",
    }


def test_names_of_a_canary(surveyed) -> None:
    surveyed(existing=["7.7.1908"])
    args = make_pool(versions={"7.7.1908": make_nodes(), "7.8.2": make_nodes()}, canaries={"7.8.2": 1})
    recorded = run(lambda: BlueGreenNodePool("worker", args))
    named = {one.name for one in recorded.registered if one.name.startswith("worker-7.8.2")}
    parts = ("", "-role", "-role-join", "-role-0", "-profile", "-template", "-group", "-drain", "-gate")
    assert named == {"worker-7.8.2-lock", *(f"worker-7.8.2-canary{part}" for part in parts)}
    assert recorded["worker-7.8.2-canary-group"].inputs["name"] == "prod-worker-7.8.2-canary"


def test_tokens_of_components() -> None:
    assert node_pool.TOKEN == "nodepools:aws:NodePool"
    assert blue_green.TOKEN == "nodepools:aws:BlueGreenNodePool"
    assert host_validation.TOKEN == "nodepools:ssh:HostValidation"
    assert drainer_access.TOKEN == "nodepools:kubernetes:DrainerAccess"


@pytest.mark.parametrize(
    ("provider", "where"),
    [
        (cutover.CutoverProvider, "pulumi_nodepools.hooks.cutover.CutoverProvider"),
        (drain_hook.DrainProvider, "pulumi_nodepools.hooks.drain_hook.DrainProvider"),
        (readiness_gate.GateProvider, "pulumi_nodepools.hooks.readiness_gate.GateProvider"),
        (soak_gate.SoakGateProvider, "pulumi_nodepools.hooks.soak_gate.SoakGateProvider"),
        (version_lock.LockProvider, "pulumi_nodepools.hooks.version_lock.LockProvider"),
    ],
)
def test_providers_are_stored_by_reference_and_without_state(provider, where) -> None:
    assert f"{provider.__module__}.{provider.__qualname__}" == where
    assert vars(provider()) == {}
    assert provider.serialize_as_secret_always is False
    stored = dill.dumps(provider(), protocol=pickle.DEFAULT_PROTOCOL, recurse=True)
    assert len(stored) < 200, "a provider stored by value would run old code for ever"


def test_labels_tags_and_annotations() -> None:
    assert (names.POOL_LABEL, names.VERSION_LABEL, names.VALIDATED_LABEL, names.CLUSTER_TAG) == (
        "nodepools.dev/pool",
        "nodepools.dev/version",
        "nodepools.dev/validated",
        "nodepools.dev/cluster",
    )
    assert (names.OWNER_ANNOTATION, names.DRAINING_TAINT) == ("nodepools.dev/cordoned-by", "nodepools.dev/draining")
    assert (names.RELEASED_ANNOTATION, names.SURGE_ANNOTATION) == (
        "nodepools.dev/released-by",
        "nodepools.dev/replaces",
    )
    assert names.OUT_OF_SERVICE_TAINT == "node.kubernetes.io/out-of-service"
    assert names.LEFT_ANNOTATION == "nodepools.dev/left-load-balancers"
    assert (names.DRAIN_ANNOTATION, names.ORDER_ANNOTATION) == ("nodepools.dev/drain", "nodepools.dev/drain-order")
    assert (names.CANARY_TAINT, names.canary_taint("v1")) == (
        "nodepools.dev/canary",
        "nodepools.dev/canary=v1:NoSchedule",
    )
    assert names.LAUNCH_HOOK == "nodepools-validate"
    assert names.DRAIN_SKIP_VARIABLE == "NODEPOOLS_DRAIN_SKIP"


def test_strings_of_a_soak() -> None:
    assert (names.SOAK_LABEL, names.KERNEL_CONDITION) == ("nodepools.dev/soak", "NodepoolsKernelSignature")
    assert (names.SOAK_NAMESPACE, names.EVIDENCE_KEY) == ("nodepools-soak", "evidence.json")
    assert names.evidence_name("worker", "7.7.1908") == "evidence-worker-7.7.1908"


def test_physical_names() -> None:
    assert names.group_name("prod", "worker", "7.7.1908") == "prod-worker-7.7.1908"
    assert names.group_name("prod", "worker", "7.7.1908", "us-west-2a") == "prod-worker-7.7.1908-us-west-2a"
    assert names.record_name("worker") == "nodepools-worker"
    assert names.validated_value("worker", "7.7.1908") == "worker-7.7.1908"


@pytest.mark.parametrize("module", ["cutover", "drain_hook", "readiness_gate", "soak_gate", "version_lock"])
def test_importing_a_hook_loads_no_resource_sdk(module) -> None:
    heavy = "{'pulumi_aws', 'pulumi_kubernetes', 'pulumi_command', 'pydantic'}"
    code = f"import sys, pulumi_nodepools.hooks.{module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    import pulumi_nodepools

    assert {name for name in pulumi_nodepools.__all__ if getattr(pulumi_nodepools, name).__name__ != name} == set()
    with pytest.raises(AttributeError, match="NodePol"):
        _ = pulumi_nodepools.NodePol
