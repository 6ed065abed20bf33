"""The pack as the engine sees it: started in its own environment, asked over gRPC."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import analyzer_pb2 as proto
from pulumi.runtime.proto.analyzer_pb2_grpc import AnalyzerStub

from policies.rules import RULES
from policies.rules.drain_hook import GROUP, HOOK, POOL_TAG
from policies.rules.kernel_arguments import NOKMEM, POOL, TEMPLATE

FOLDER = Path(__file__).parents[2] / "policies"
UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # how the engine writes a value that preview cannot know
KERNEL = "nodepools-launch-template-kernel-arguments"
POOL_URN = f"urn:pulumi:prod::nodes::{POOL}::worker-7.7.1908"
TEMPLATE_URN = f"urn:pulumi:prod::nodes::{POOL}${TEMPLATE}::worker-7.7.1908-template"
GROUP_URN = f"urn:pulumi:prod::nodes::{POOL}${GROUP}::worker-7.7.1908-group"


@pytest.fixture(scope="module")
def pack() -> Iterator[AnalyzerStub]:
    python = FOLDER / "venv" / "bin" / "python"
    assert python.exists(), f"{python} is missing: the pack's own environment is built by `make setup`"
    command = [python, "-u", "-m", "pulumi.policy", "127.0.0.1:1", "."]
    with subprocess.Popen(command, cwd=FOLDER, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = process.stdout.readline().strip()
            assert port.isdigit(), "the pack ended before it named its port; its own message is above"
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield AnalyzerStub(channel)
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def fresh_config(pack):
    configure(pack)


def configure(pack: AnalyzerStub, **properties) -> None:
    own = {KERNEL: proto.PolicyConfig(enforcementLevel=proto.MANDATORY, properties=struct(properties))}
    pack.Configure(proto.ConfigureAnalyzerRequest(policyConfig=own if properties else {}))


def struct(values: dict) -> Struct:
    result = Struct()
    result.update(values)
    return result


def analyze(pack: AnalyzerStub, kind: str, urn: str, props: dict, parent: str = "") -> list[proto.AnalyzeDiagnostic]:
    options = proto.AnalyzerResourceOptions(parent=parent)
    name = urn.rsplit("::", 1)[-1]
    request = proto.AnalyzeRequest(type=kind, properties=struct(props), urn=urn, name=name, options=options)
    return list(pack.Analyze(request).diagnostics)


def pool_props(**props) -> dict:
    return {"pool": "worker", "version": "7.7.1908", "osFamily": "el7", "kernelArguments": [NOKMEM]} | props


def test_every_rule_is_served_as_a_mandatory_policy(pack):
    info = pack.GetAnalyzerInfo(Empty())
    assert {policy.name for policy in info.policies} == {rule.name for rule in RULES}
    assert {policy.enforcementLevel for policy in info.policies} == {proto.MANDATORY}
    assert all(policy.description for policy in info.policies)


def test_an_ungated_template_is_a_mandatory_violation(pack):
    assert analyze(pack, POOL, POOL_URN, pool_props()) == []
    data = base64.b64encode(b"#cloud-boothook\n#!/bin/sh\n").decode()
    (diagnostic,) = analyze(pack, TEMPLATE, TEMPLATE_URN, {"userData": data}, POOL_URN)
    assert diagnostic.enforcementLevel == proto.MANDATORY
    assert NOKMEM in diagnostic.message


def test_unknown_user_data_is_an_advisory_that_says_why(pack):
    analyze(pack, POOL, POOL_URN, pool_props())
    (diagnostic,) = analyze(pack, TEMPLATE, TEMPLATE_URN, {"userData": UNKNOWN_STRING}, POOL_URN)
    assert diagnostic.enforcementLevel == proto.ADVISORY
    assert "cannot judge 'worker-7.7.1908-template' yet" in diagnostic.message
    assert NOKMEM in diagnostic.message


def test_a_bad_pool_is_refused_in_preview_even_if_its_user_data_is_unknown(pack):
    diagnostics = analyze(pack, POOL, POOL_URN, pool_props(kernelArguments=[]))
    assert [diagnostic.enforcementLevel for diagnostic in diagnostics] == [proto.MANDATORY]


def test_config_excuses_a_version_by_name_and_reason(pack):
    entry = {"pool": "worker", "version": "7.7.1908", "reason": "runs no containers"}
    configure(pack, allowWithoutNokmem=[entry])
    assert analyze(pack, POOL, POOL_URN, pool_props(kernelArguments=[])) == []


@pytest.mark.parametrize("edge", ["depends_on", "property", "none"])
def test_a_group_needs_a_hook_with_an_edge_to_it(pack, edge):
    tags = [{"key": POOL_TAG, "value": "worker", "propagateAtLaunch": True}]
    group = proto.AnalyzerResource(type=GROUP, urn=GROUP_URN, name="g", properties=struct({"tags": tags}))
    hook = proto.AnalyzerResource(type=HOOK, urn="urn:pulumi:prod::nodes::x::hook", name="hook")
    if edge == "depends_on":
        hook.dependencies.append(GROUP_URN)
    elif edge == "property":
        hook.propertyDependencies["groups"].urns.append(GROUP_URN)
    diagnostics = pack.AnalyzeStack(proto.AnalyzeStackRequest(resources=[group, hook])).diagnostics
    assert [diagnostic.urn for diagnostic in diagnostics] == ([GROUP_URN] if edge == "none" else [])
