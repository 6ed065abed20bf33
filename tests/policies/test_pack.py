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
from policies.rules.kernel import NOKMEM
from policies.rules.rule import Level
from policies.rules.subjects import GROUP, HOOK, POOL, POOL_TAG, TEMPLATE

FOLDER = Path(__file__).parents[2] / "policies"
UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # how the engine writes a value that preview cannot know
KERNEL = "nodepools-launch-template-kernel-arguments"
NO_ACCOUNTING = "nodepools-pool-nokmem"
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


def configure(pack: AnalyzerStub, rule: str = "", **properties) -> None:
    own = {rule: proto.PolicyConfig(enforcementLevel=proto.MANDATORY, properties=struct(properties))}
    pack.Configure(proto.ConfigureAnalyzerRequest(policyConfig=own if rule else {}))


def struct(values: dict) -> Struct:
    result = Struct()
    result.update(values)
    return result


def analyze(pack: AnalyzerStub, kind: str, urn: str, props: dict, parent: str = "") -> list[proto.AnalyzeDiagnostic]:
    options = proto.AnalyzerResourceOptions(parent=parent)
    name = urn.rsplit("::", 1)[-1]
    request = proto.AnalyzeRequest(type=kind, properties=struct(props), urn=urn, name=name, options=options)
    return list(pack.Analyze(request).diagnostics)


def of(diagnostics: list[proto.AnalyzeDiagnostic], rule: str) -> list[proto.AnalyzeDiagnostic]:
    return [one for one in diagnostics if one.policyName == rule or f"'{rule}'" in one.message]


def pool_props(**props) -> dict:
    known = {"pool": "worker", "version": "7.7.1908", "osFamily": "el7", "kernelArguments": [NOKMEM]}
    return {**known, "minimumKernelVersion": "3.10.0-1062.4.1", **props}


def test_every_rule_is_served_with_its_level_reason_and_fix(pack):
    info = pack.GetAnalyzerInfo(Empty())
    levels = {Level.MANDATORY: proto.MANDATORY, Level.ADVISORY: proto.ADVISORY}
    wanted = {rule.name: (levels[rule.level], rule.fix, rule.link) for rule in RULES}
    served = {one.name: (one.enforcementLevel, one.remediation_steps, one.url) for one in info.policies}
    assert served == wanted
    assert all("allow" in policy.configSchema.properties for policy in info.policies)


def test_an_ungated_template_is_a_mandatory_violation(pack):
    assert analyze(pack, POOL, POOL_URN, pool_props()) == []
    data = base64.b64encode(b"#cloud-boothook\n#!/bin/sh\n").decode()
    (diagnostic,) = of(analyze(pack, TEMPLATE, TEMPLATE_URN, {"userData": data}, POOL_URN), KERNEL)
    assert diagnostic.enforcementLevel == proto.MANDATORY
    assert NOKMEM in diagnostic.message
    assert "Fix: Let NodePool render" in diagnostic.message


def test_unknown_user_data_is_an_advisory_that_says_why(pack):
    analyze(pack, POOL, POOL_URN, pool_props())
    found = of(analyze(pack, TEMPLATE, TEMPLATE_URN, {"userData": UNKNOWN_STRING}, POOL_URN), KERNEL)
    (diagnostic,) = found
    assert diagnostic.enforcementLevel == proto.ADVISORY
    assert "cannot judge 'worker-7.7.1908-template' yet" in diagnostic.message
    assert NOKMEM in diagnostic.message


def test_a_bad_pool_is_refused_in_preview_even_if_its_user_data_is_unknown(pack):
    diagnostics = analyze(pack, POOL, POOL_URN, pool_props(kernelArguments=[]))
    assert [(one.policyName, one.enforcementLevel) for one in diagnostics] == [(NO_ACCOUNTING, proto.MANDATORY)]


def test_an_allowance_holds_until_its_day_is_over(pack):
    entry = {"resource": "worker-7.7.*", "reason": "runs no containers", "expires": "9999-12-31"}
    configure(pack, NO_ACCOUNTING, allow=[entry])
    assert analyze(pack, POOL, POOL_URN, pool_props(kernelArguments=[])) == []
    configure(pack, NO_ACCOUNTING, allow=[entry | {"expires": "2020-02-29"}])
    (diagnostic,) = analyze(pack, POOL, POOL_URN, pool_props(kernelArguments=[]))
    assert "expired on 2020-02-29" in diagnostic.message


def test_a_misspelt_key_of_the_configuration_is_refused(pack):
    configure(pack, NO_ACCOUNTING, alow=[])
    (diagnostic,) = analyze(pack, POOL, POOL_URN, pool_props())
    assert diagnostic.enforcementLevel == proto.MANDATORY
    assert "'alow', which means nothing here; it takes allow" in diagnostic.message


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
