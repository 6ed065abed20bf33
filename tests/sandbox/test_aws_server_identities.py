"""Callers whose policies are known may do what these say, and nothing else."""

import json
from collections.abc import Iterator

import boto3
import pytest
from aws_case import Aws, running_aws
from botocore.exceptions import ClientError

from sandbox.aws.identities import FILE, LOG

pytestmark = pytest.mark.sandbox
ROLE = "arn:aws:iam::123456789012:role/reader"
GROUPS = "arn:aws:autoscaling:us-west-2:123456789012:autoScalingGroup:*:autoScalingGroupName"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    folder = tmp_path_factory.mktemp("aws")
    statements = [
        {"Effect": "Allow", "Action": ["autoscaling:Describe*"], "Resource": "*"},
        {"Effect": "Allow", "Action": "autoscaling:SuspendProcesses", "Resource": f"{GROUPS}/mine-*"},
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": ROLE},
    ]
    (folder / "policy.json").write_text(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    (folder / FILE).write_text(
        json.dumps({"NAMED": [str(folder / "policy.json")], ROLE: [str(folder / "policy.json")]})
    )
    with running_aws(folder) as running:
        yield running


def client(aws: Aws, service: str, key: str, token: str | None = None):
    secrets = {"aws_secret_access_key": "any", "aws_session_token": token}
    return boto3.client(service, endpoint_url=aws.endpoint, region_name="us-west-2", aws_access_key_id=key, **secrets)


def refused(call, **arguments) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return f"{caught.value.response['Error']['Code']}: {caught.value}"


def test_a_named_caller_may_do_what_his_policies_say_on_what_they_name(aws):
    mine, other = aws.group(name="mine-1"), aws.group(name="other-1")
    groups = client(aws, "autoscaling", "NAMED")
    assert len(groups.describe_auto_scaling_groups()["AutoScalingGroups"]) == 2
    groups.suspend_processes(AutoScalingGroupName=mine, ScalingProcesses=["Launch"])
    text = refused(groups.suspend_processes, AutoScalingGroupName=other, ScalingProcesses=["Launch"])
    assert f"not authorized to perform: autoscaling:SuspendProcesses on resource: {GROUPS}/other-1" in text
    assert aws.view(other)["SuspendedProcesses"] == []
    assert "UnauthorizedOperation" in refused(client(aws, "ec2", "NAMED").describe_subnets)


def test_a_role_is_judged_by_its_own_policies_and_what_it_asks_is_written_down(aws):
    keys = client(aws, "sts", "NAMED").assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
    role = client(aws, "autoscaling", keys["AccessKeyId"], keys["SessionToken"])
    role.describe_auto_scaling_groups()
    assert "AccessDenied" in refused(role.update_auto_scaling_group, AutoScalingGroupName="mine-1", MinSize=0)
    asked = [json.loads(line) for line in (aws.state_dir / LOG).read_text().splitlines()]
    assert [(one["action"], one["allowed"]) for one in asked if one["caller"] == ROLE] == [
        ("autoscaling:DescribeAutoScalingGroups", True),
        ("autoscaling:UpdateAutoScalingGroup", False),
    ]


def test_the_simulator_says_what_a_role_may_do(aws):
    actions = ["autoscaling:SuspendProcesses", "elasticloadbalancing:DeregisterTargets"]
    answer = aws.iam.simulate_principal_policy(
        PolicySourceArn=ROLE, ActionNames=actions, ResourceArns=[f"{GROUPS}/mine-1"]
    )
    assert {one["EvalActionName"]: one["EvalDecision"] for one in answer["EvaluationResults"]} == {
        "autoscaling:SuspendProcesses": "allowed",
        "elasticloadbalancing:DeregisterTargets": "implicitDeny",
    }
