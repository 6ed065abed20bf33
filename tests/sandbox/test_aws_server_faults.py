"""The faults that can be switched on in the simulated AWS look like the real ones."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest
from aws_case import LAUNCH_HOOK, SUBNETS, Aws, running_aws, until
from botocore.exceptions import ClientError

from sandbox.aws.switches import Switches, write_switches


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with running_aws(tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@pytest.fixture
def aws(server: Aws) -> Iterator[Aws]:
    server.switch()
    yield server
    server.switch()


def code(call: object, **arguments: object) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)  # type: ignore[operator]
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.sandbox
def test_expired_session_is_told_in_each_services_words(aws):
    aws.switch(expiredToken=True)
    assert code(aws.sts.get_caller_identity) == "ExpiredToken"
    assert code(aws.autoscaling.describe_auto_scaling_groups) == "ExpiredToken"
    assert code(aws.ec2.describe_subnets) == "RequestExpired"
    assert code(aws.ssm.get_parameter, Name="/nodepools/prod/join-token") == "ExpiredTokenException"
    aws.switch()
    assert aws.sts.get_caller_identity()["Account"]


@pytest.mark.sandbox
def test_missing_right_is_told_and_nothing_is_done(aws):
    name = aws.group(low=1)
    aws.switch(denyActions=["autoscaling:SuspendProcesses", "ec2:DescribeSubnets"])
    with pytest.raises(ClientError, match="not authorized to perform: autoscaling:SuspendProcesses") as caught:
        aws.autoscaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert code(aws.ec2.describe_subnets) == "UnauthorizedOperation"
    assert aws.view(name)["SuspendedProcesses"] == []


@pytest.mark.sandbox
def test_zone_without_capacity_fails_there_and_launches_elsewhere(aws):
    aws.switch(zoneWithoutCapacity=["us-west-2c"])
    name = aws.group(low=4)
    assert Counter(m["AvailabilityZone"] for m in aws.members(name)) == {"us-west-2a": 2, "us-west-2b": 2}
    (failed,) = aws.activities(name, "Failed")
    assert "InsufficientInstanceCapacity" in failed["StatusMessage"]
    assert json.loads(failed["Details"])["Availability Zone"] == "us-west-2c"


@pytest.mark.sandbox
def test_group_in_a_zone_without_capacity_stays_empty_until_there_is_some(aws):
    aws.switch(zoneWithoutCapacity=["us-west-2c"])
    name = aws.group(low=1, VPCZoneIdentifier=SUBNETS[2])
    assert aws.members(name) == []
    aws.switch()
    assert until(lambda: aws.members(name, "InService"))


@pytest.mark.sandbox
def test_refused_launches_are_not_repeated_in_a_storm(aws):
    clock = aws.group(low=1, LifecycleHookSpecificationList=[{**LAUNCH_HOOK, "HeartbeatTimeout": 2}])
    aws.switch(zoneWithoutCapacity=["us-west-2a", "us-west-2b", "us-west-2c"])
    name = aws.group(low=3)
    until(lambda: aws.activities(clock, "Cancelled"))  # the server has looked at its groups again and again
    assert len(aws.activities(name, "Failed")) == 3


@pytest.mark.sandbox
def test_free_addresses_are_shown_and_none_means_no_launch(aws):
    aws.switch(availableIpAddressCount={SUBNETS[0]: 3, SUBNETS[1]: 0})
    shown = aws.ec2.describe_subnets(SubnetIds=SUBNETS[:2])["Subnets"]
    assert {s["SubnetId"]: s["AvailableIpAddressCount"] for s in shown} == {SUBNETS[0]: 3, SUBNETS[1]: 0}
    name = aws.group(low=1, VPCZoneIdentifier=SUBNETS[1])
    assert aws.members(name) == []
    assert "free addresses" in aws.activities(name, "Failed")[0]["StatusMessage"]


@pytest.mark.sandbox
def test_terminated_instances_give_their_addresses_back(aws):
    def free() -> int:
        return int(aws.ec2.describe_subnets(SubnetIds=SUBNETS[:1])["Subnets"][0]["AvailableIpAddressCount"])

    before = free()
    name = aws.group(low=0, DesiredCapacity=3, VPCZoneIdentifier=SUBNETS[0])
    assert free() == before - 3
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    assert free() == before


def test_misspelt_switch_is_refused(tmp_path):
    with pytest.raises(ValueError, match="zonesWithoutCapacity"):
        write_switches(tmp_path, {"zonesWithoutCapacity": []})


def test_half_written_switches_leave_the_last_ones_on(tmp_path):
    switches = Switches(tmp_path)
    write_switches(tmp_path, {"expiredToken": True})
    assert switches.expired_token
    (tmp_path / "aws-switches.json").write_text('{"expired')
    assert switches.expired_token
    (tmp_path / "aws-switches.json").unlink()
    assert not switches.expired_token
