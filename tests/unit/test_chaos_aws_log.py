"""What AWS wrote down of a roll: each request that should never have been made is named, and no other is."""

import json
from pathlib import Path

import pytest

from sandbox.aws.identities import LOG
from tests.chaos.aws_log import AwsLog, judge

GROUPS = {"v1": "prod-c1-v1", "v2": "prod-c1-v2"}


def line(action: str, group: str = "", *, at: float = 1.0, caller: str = "c1", allowed: bool = True) -> dict:
    resource = f"arn:aws:autoscaling:r:1:autoScalingGroup:*:autoScalingGroupName/{group}" if group else ""
    action = action if ":" in action else f"autoscaling:{action}"
    return {"time": at, "caller": caller, "action": action, "resource": resource, "allowed": allowed}


ROLL = [
    line("DescribeAutoScalingGroups"),
    line("ec2:DescribeInstances"),
    line("sts:GetCallerIdentity"),
    line("iam:SimulatePrincipalPolicy"),
    line("SuspendProcesses", "prod-c1-v2"),
    line("UpdateAutoScalingGroup", "prod-c1-v2"),
    line("ResumeProcesses", "prod-c1-v2"),
    line("SuspendProcesses", "prod-c1-v1"),
    line("UpdateAutoScalingGroup", "prod-c1-v1"),
    line("SetDesiredCapacity", "prod-c1-v2"),
    line("DeleteAutoScalingGroup", "prod-c1-v1", at=9.0, caller="chaos"),
]


def judged(*more: dict, emptied: float | None = 5.0) -> list[str]:
    return judge([*ROLL, *more], "c1", GROUPS, serving="v2", emptied=emptied)


def test_a_roll_as_it_should_be_is_not_held_against_anybody() -> None:
    others = [line("DeleteAutoScalingGroup", "prod-c2-v1", caller="c2"), line("SuspendProcesses", "prod-c11-v2")]
    assert judged(*(dict(one, caller="c2") for one in others)) == []


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (line("CreateAutoScalingGroup", "prod-c1-v3"), "c1 asked for autoscaling:CreateAutoScalingGroup"),
        (line("ec2:TerminateInstances"), "c1 asked for ec2:TerminateInstances of nothing in particular"),
        (line("UpdateAutoScalingGroup", "prod-c2-v1"), "c1 asked for autoscaling:UpdateAutoScalingGroup of prod-c2-v1"),
        (line("DescribeTags", allowed=False), "c1 was refused autoscaling:DescribeTags"),
        (line("DeleteAutoScalingGroup", "prod-c1-v1", caller="chaos"), "came before its nodes were empty"),
        (line("SuspendProcesses", "prod-c1-v2"), "prod-c1-v2 serves, and nobody resumed"),
    ],
)
def test_what_must_not_be_asked_for_is_named(bad: dict, said: str) -> None:
    (found,) = judged(bad)
    assert said in found


def test_nothing_may_be_deleted_while_no_hook_has_ended() -> None:
    assert judged(emptied=None) == ["autoscaling:DeleteAutoScalingGroup of prod-c1-v1 came before its nodes were empty"]


def test_only_named_callers_of_this_roll_are_read(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text("".join(json.dumps(line("DescribeTags", at=at)) + "\n" for at in (1.0, 2.0)))
    assert [one["time"] for one in AwsLog(tmp_path).read(1.5)] == [2.0]
