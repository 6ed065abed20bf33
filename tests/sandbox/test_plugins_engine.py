"""The real engine with the stand-ins: what only it can show about their answers on the wire."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_case import IMAGE, SUBNETS, Aws, running_aws
from program_case import Program

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(400)]  # about ten runs of the engine

PROGRAM = f"""
import pulumi, pulumi_aws as aws, pulumi_command as command

config = pulumi.Config()
template = aws.ec2.LaunchTemplate("template", image_id={IMAGE!r}, instance_type=config.require("type"))
group = aws.autoscaling.Group(
    "group", name="prod-worker-1", min_size=0, max_size=2, vpc_zone_identifiers={SUBNETS!r},
    launch_template={{"id": template.id, "version": template.latest_version.apply(str)}},
    suspended_processes=["AZRebalance"], wait_for_capacity_timeout="0",
)
password = config.get_secret("password") or "none"
smoke = command.local.Command("smoke", create="echo $WHAT", environment={{"WHAT": password}}, triggers=[group.arn])
pulumi.export("account", aws.get_caller_identity().account_id)
pulumi.export("version", template.latest_version)
"""


class Stack(Program):
    """One that can be looked into."""

    def resources(self) -> dict[str, Any]:
        exported = json.loads(self.run("stack", "export"))["deployment"]["resources"]
        return {each["urn"].rpartition("::")[2]: each for each in exported}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[tuple[Stack, Aws]]:
    (tmp_path / "aws").mkdir()
    with running_aws(tmp_path / "aws") as aws:
        access = {"AWS_ENDPOINT_URL": aws.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        program = Stack(tmp_path / "program", PROGRAM, "aws", "command", env={**access, "AWS_REGION": "us-west-2"})
        program.run("config", "set", "type", "m5.2xlarge")
        yield program, aws


def test_life_of_a_stack(program: tuple[Stack, Aws]) -> None:
    stack, aws = program
    preview = stack.run("preview", "--diff")
    assert "version: [unknown]" in preview
    assert not aws.ec2.describe_launch_templates()["LaunchTemplates"]

    # The group is created but its processes cannot be suspended: the engine keeps what exists, the next run goes on.
    aws.switch(denyActions=["autoscaling:SuspendProcesses"])
    failed = stack.run("up", "--yes", "--skip-preview", fails=True)
    assert "not authorized to perform: autoscaling:SuspendProcesses" in failed
    assert "Traceback" not in failed
    assert stack.resources()["group"]["id"] == "prod-worker-1"
    aws.switch()
    stack.run("config", "set", "--secret", "password", "hunter2")
    stack.run("up", "--yes", "--skip-preview")
    assert [each["ProcessName"] for each in aws.view("prod-worker-1")["SuspendedProcesses"]] == ["AZRebalance"]
    assert "hunter2" not in json.dumps(stack.resources()["smoke"]["inputs"])

    stack.run("config", "set", "type", "m5.large")
    change = stack.run("preview", "--diff")
    assert 'instanceType: "m5.2xlarge" => "m5.large"' in change
    assert 'version: "1" => [unknown]' in change
    stack.run("up", "--yes", "--skip-preview", "--refresh")
    assert stack.run("stack", "output", "version").strip() == "2"
    assert "unchanged" in stack.run("up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes")
    stack.run("destroy", "--yes", "--skip-preview")
    assert not aws.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
