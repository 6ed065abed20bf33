"""The simulated AWS behaves like the real one where this project relies on it: one test per row of docs/sandbox.md."""

import base64
from collections import Counter
from collections.abc import Iterator

import pytest
from aws_case import LAUNCH_HOOK, SUBNETS, Aws, running_aws, until
from botocore.exceptions import ClientError

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with running_aws(tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@pytest.fixture
def aws(server: Aws) -> Iterator[Aws]:
    server.switch()
    yield server
    server.switch()


def refused(code: str, call: object, **arguments: object) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)  # type: ignore[operator]
    assert caught.value.response["Error"]["Code"] == code, caught.value
    return str(caught.value.response["Error"]["Message"])


def test_account_is_the_one_asked_for(tmp_path):
    with running_aws(tmp_path, account="210987654321") as aws:
        assert aws.sts.get_caller_identity()["Account"] == "210987654321"
        name = aws.group(low=1)
        assert ":210987654321:" in aws.view(name)["AutoScalingGroupARN"]


def test_network_images_and_join_token_exist(aws):
    subnets = aws.ec2.describe_subnets(SubnetIds=SUBNETS)["Subnets"]
    assert {s["SubnetId"]: s["AvailabilityZone"] for s in subnets} == {
        SUBNETS[0]: "us-west-2a",
        SUBNETS[1]: "us-west-2b",
        SUBNETS[2]: "us-west-2c",
    }
    assert aws.ec2.describe_security_groups(GroupIds=["sg-0123456789abcdef0"])["SecurityGroups"]
    images = aws.ec2.describe_images(ImageIds=["ami-0aaaaaaaaaaa76181", "ami-0bbbbbbbbbbb77190"])["Images"]
    assert len(images) == 2
    token = aws.ssm.get_parameter(Name="/nodepools/prod/join-token", WithDecryption=True)
    assert token["Parameter"]["Value"].count(".") == 1


def test_account_has_a_quota_of_vcpus(aws):
    quota = getattr(aws, "service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quota"]
    assert quota["Value"] == 1152


def test_launch_hook_given_at_creation_holds_instances_until_it_is_completed(aws):
    name = aws.group(low=2, LifecycleHookSpecificationList=[LAUNCH_HOOK])
    assert [m["LifecycleState"] for m in aws.members(name)] == ["Pending:Wait"] * 2
    first, second = (m["InstanceId"] for m in aws.members(name))
    aws.complete(name, first)
    assert [m["InstanceId"] for m in aws.members(name, "InService")] == [first]
    assert [m["InstanceId"] for m in aws.members(name, "Pending:Wait")] == [second]
    assert "No active Lifecycle Action" in refused(
        "ValidationError",
        aws.autoscaling.complete_lifecycle_action,
        AutoScalingGroupName=name,
        LifecycleHookName="nodepools-validate",
        InstanceId=first,
        LifecycleActionResult="CONTINUE",
    )


def test_hook_put_later_holds_only_later_instances(aws):
    name = aws.group(low=1)
    assert aws.members(name)[0]["LifecycleState"] == "InService"
    aws.autoscaling.put_lifecycle_hook(AutoScalingGroupName=name, **LAUNCH_HOOK)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    assert Counter(m["LifecycleState"] for m in aws.members(name)) == {"InService": 1, "Pending:Wait": 1}


def test_abandon_terminates_the_instance_records_why_and_launches_another(aws):
    name = aws.group(low=1, LifecycleHookSpecificationList=[LAUNCH_HOOK])
    bad = aws.members(name)[0]["InstanceId"]
    aws.complete(name, bad, "ABANDON")
    state = aws.ec2.describe_instances(InstanceIds=[bad])["Reservations"][0]["Instances"][0]["State"]["Name"]
    assert state == "terminated"
    (activity,) = aws.activities(name, "Cancelled")
    assert bad in activity["Description"]
    assert activity["StatusMessage"].endswith("Lifecycle Action Completed with ABANDON Result")
    replacement = until(lambda: aws.members(name, "Pending:Wait"))
    assert replacement[0]["InstanceId"] != bad


def test_hook_that_times_out_takes_its_default_result(aws):
    abandon = aws.group(low=1, LifecycleHookSpecificationList=[{**LAUNCH_HOOK, "HeartbeatTimeout": 1}])
    go_on = aws.group(
        low=1, LifecycleHookSpecificationList=[{**LAUNCH_HOOK, "HeartbeatTimeout": 1, "DefaultResult": "CONTINUE"}]
    )
    assert "Heartbeat Timeout" in until(lambda: aws.activities(abandon, "Cancelled"))[0]["StatusMessage"]
    assert until(lambda: aws.members(go_on, "InService"))


def test_heartbeat_extends_the_time(aws):
    slow = {**LAUNCH_HOOK, "HeartbeatTimeout": 2}
    name = aws.group(low=2, LifecycleHookSpecificationList=[slow])
    kept, dropped = (m["InstanceId"] for m in aws.members(name))

    def beat() -> bool:
        aws.autoscaling.record_lifecycle_action_heartbeat(
            AutoScalingGroupName=name, LifecycleHookName="nodepools-validate", InstanceId=kept
        )
        return dropped not in [m["InstanceId"] for m in aws.members(name)]

    until(beat)
    assert kept in [m["InstanceId"] for m in aws.members(name, "Pending:Wait")]


def test_suspended_launch_launches_nothing_until_resumed(aws):
    name = aws.group(low=1, LifecycleHookSpecificationList=[LAUNCH_HOOK])
    aws.autoscaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch", "AZRebalance"])
    assert [p["ProcessName"] for p in aws.view(name)["SuspendedProcesses"]] == ["AZRebalance", "Launch"]
    aws.complete(name, aws.members(name)[0]["InstanceId"], "ABANDON")
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=3)
    other = aws.group(low=1, LifecycleHookSpecificationList=[{**LAUNCH_HOOK, "HeartbeatTimeout": 2}])
    until(lambda: aws.activities(other, "Cancelled"))  # two seconds of the server's own clock have passed
    assert aws.members(name) == []
    aws.autoscaling.resume_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
    assert len(aws.members(name)) == 3


def test_unknown_process_is_refused(aws):
    name = aws.group()
    refused("ValidationError", aws.autoscaling.suspend_processes, AutoScalingGroupName=name, ScalingProcesses=["Lunch"])


def test_instances_are_balanced_over_the_zones_of_the_subnets(aws):
    name = aws.group(low=7)
    zones = Counter(m["AvailabilityZone"] for m in aws.members(name))
    assert sorted(zones.values()) == [2, 2, 3]


def test_instances_carry_tags_user_data_version_and_metadata_options_of_their_template(aws):
    user_data = base64.b64encode(b"#!/bin/sh\necho one\n").decode()
    template = aws.template(
        UserData=user_data,
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        NetworkInterfaces=[{"DeviceIndex": 0, "Groups": ["sg-0123456789abcdef0"], "AssociatePublicIpAddress": False}],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "from", "Value": "template"}]}],
    )
    second = base64.b64encode(b"#!/bin/sh\necho two\n").decode()
    aws.ec2.create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"ImageId": "ami-1", "UserData": second}
    )
    tags = [{"Key": "nodepools.dev/pool", "Value": "worker", "PropagateAtLaunch": True}]
    name = aws.group(template, low=1, Tags=tags)
    member = aws.members(name)[0]
    assert member["LaunchTemplate"]["Version"] == "1"
    instance = aws.ec2.describe_instances(InstanceIds=[member["InstanceId"]])["Reservations"][0]["Instances"][0]
    assert {t["Key"]: t["Value"] for t in instance["Tags"]} == {
        "aws:autoscaling:groupName": name,
        "aws:ec2launchtemplate:id": template,
        "aws:ec2launchtemplate:version": "1",
        "from": "template",
        "nodepools.dev/pool": "worker",
    }
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert instance["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    assert [g["GroupId"] for g in instance["SecurityGroups"]] == ["sg-0123456789abcdef0"]
    assert "PublicIpAddress" not in instance
    attribute = aws.ec2.describe_instance_attribute(InstanceId=member["InstanceId"], Attribute="userData")
    assert attribute["UserData"]["Value"] == user_data
    aws.autoscaling.update_auto_scaling_group(
        AutoScalingGroupName=name, LaunchTemplate={"LaunchTemplateId": template, "Version": "2"}, DesiredCapacity=2
    )
    new = next(m for m in aws.members(name) if m["InstanceId"] != member["InstanceId"])
    assert new["LaunchTemplate"]["Version"] == "2"
    attribute = aws.ec2.describe_instance_attribute(InstanceId=new["InstanceId"], Attribute="userData")
    assert attribute["UserData"]["Value"] == second


def test_instances_are_found_by_their_id(aws):
    name = aws.group(low=1, LifecycleHookSpecificationList=[LAUNCH_HOOK])
    instance_id = aws.members(name)[0]["InstanceId"]
    (found,) = aws.autoscaling.describe_auto_scaling_instances(InstanceIds=[instance_id])["AutoScalingInstances"]
    assert (found["AutoScalingGroupName"], found["LifecycleState"]) == (name, "Pending:Wait")


def test_duplicate_names_are_refused(aws):
    name = aws.group()
    message = refused(
        "AlreadyExists",
        aws.autoscaling.create_auto_scaling_group,
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=1,
        VPCZoneIdentifier=SUBNETS[0],
        LaunchTemplate={"LaunchTemplateId": aws.template()},
    )
    assert name in message


def test_capacity_must_lie_within_the_bounds(aws):
    name = aws.group(low=1, high=3)
    call = aws.autoscaling.set_desired_capacity
    assert "above max value 3" in refused("ValidationError", call, AutoScalingGroupName=name, DesiredCapacity=4)
    assert "below min value 1" in refused("ValidationError", call, AutoScalingGroupName=name, DesiredCapacity=0)
    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=2)
    assert aws.view(name)["DesiredCapacity"] == len(aws.members(name)) == 2
    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0, MaxSize=1)
    assert aws.view(name)["DesiredCapacity"] == len(aws.members(name)) == 1


def test_unknown_group_is_a_validation_error(aws):
    refused("ValidationError", aws.autoscaling.set_desired_capacity, AutoScalingGroupName="no-such", DesiredCapacity=1)


def test_scaling_in_terminates_instances_spares_the_protected_and_keeps_the_balance(aws):
    name = aws.group(low=0, high=6, DesiredCapacity=6)
    protected = [m["InstanceId"] for m in aws.members(name)][:2]
    aws.autoscaling.set_instance_protection(AutoScalingGroupName=name, InstanceIds=protected, ProtectedFromScaleIn=True)
    before = {m["InstanceId"] for m in aws.members(name)}
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=3)
    left = {m["InstanceId"]: m["AvailabilityZone"] for m in aws.members(name)}
    assert set(protected) < set(left)
    assert sorted(Counter(left.values()).values()) == [1, 1, 1]
    gone = aws.ec2.describe_instances(InstanceIds=sorted(before - set(left)))["Reservations"]
    assert {i["State"]["Name"] for r in gone for i in r["Instances"]} == {"terminated"}
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    assert sorted(m["InstanceId"] for m in aws.members(name)) == sorted(protected)


def test_terminate_in_group_shrinks_or_replaces(aws):
    name = aws.group(low=1, DesiredCapacity=3)
    first, second, _ = (m["InstanceId"] for m in aws.members(name))
    end = aws.autoscaling.terminate_instance_in_auto_scaling_group
    end(InstanceId=first, ShouldDecrementDesiredCapacity=True)
    assert aws.view(name)["DesiredCapacity"] == len(aws.members(name)) == 2
    end(InstanceId=second, ShouldDecrementDesiredCapacity=False)
    assert second not in [m["InstanceId"] for m in until(lambda: len(aws.members(name)) == 2 and aws.members(name))]
    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=2)
    last = aws.members(name)[0]["InstanceId"]
    assert "minSize" in refused("ValidationError", end, InstanceId=last, ShouldDecrementDesiredCapacity=True)


def test_detached_instance_runs_on_outside_the_group(aws):
    name = aws.group(low=0, DesiredCapacity=2)
    out = aws.members(name)[0]["InstanceId"]
    aws.autoscaling.detach_instances(AutoScalingGroupName=name, InstanceIds=[out], ShouldDecrementDesiredCapacity=True)
    assert [m["InstanceId"] for m in aws.members(name)] != [out]
    assert len(aws.members(name)) == 1
    instance = aws.ec2.describe_instances(InstanceIds=[out])["Reservations"][0]["Instances"][0]
    assert instance["State"]["Name"] == "running"


def test_instance_that_died_is_replaced_unless_replacing_is_suspended(aws):
    name = aws.group(low=1)
    died = aws.members(name)[0]["InstanceId"]
    aws.autoscaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["ReplaceUnhealthy"])
    aws.ec2.terminate_instances(InstanceIds=[died])
    assert aws.members(name)[0]["HealthStatus"] == "Unhealthy"
    aws.autoscaling.resume_processes(AutoScalingGroupName=name, ScalingProcesses=["ReplaceUnhealthy"])
    until(lambda: [m["HealthStatus"] for m in aws.members(name)] == ["Healthy"])
    assert aws.members(name)[0]["InstanceId"] != died


def test_termination_hook_holds_the_instance(aws):
    hook = {
        "LifecycleHookName": "goodbye",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "HeartbeatTimeout": 600,
        "DefaultResult": "CONTINUE",
    }
    name = aws.group(low=0, DesiredCapacity=1, LifecycleHookSpecificationList=[hook])
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    (member,) = aws.members(name, "Terminating:Wait")
    aws.complete(name, member["InstanceId"], hook="goodbye")
    assert aws.members(name) == []


def test_group_with_instances_is_deleted_only_by_force(aws):
    name = aws.group(low=1)
    instance_id = aws.members(name)[0]["InstanceId"]
    refused("ResourceInUse", aws.autoscaling.delete_auto_scaling_group, AutoScalingGroupName=name)
    aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    assert aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"] == []
    instance = aws.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    assert instance["State"]["Name"] == "terminated"


def test_only_instances_in_service_are_load_balancer_targets(aws):
    vpc = aws.ec2.describe_subnets(SubnetIds=SUBNETS[:1])["Subnets"][0]["VpcId"]
    made = aws.elbv2.create_target_group(Name="pool", Protocol="TCP", Port=80, VpcId=vpc)
    arn = made["TargetGroups"][0]["TargetGroupArn"]

    def targets() -> list[str]:
        health = aws.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return [each["Target"]["Id"] for each in health]

    name = aws.group(low=0, DesiredCapacity=2, TargetGroupARNs=[arn], LifecycleHookSpecificationList=[LAUNCH_HOOK])
    assert targets() == []
    first = aws.members(name)[0]["InstanceId"]
    aws.complete(name, first)
    assert targets() == [first]
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    until(lambda: targets() == [])


def test_a_grace_period_of_zero_stays_zero(aws):
    assert aws.view(aws.group(HealthCheckGracePeriod=0))["HealthCheckGracePeriod"] == 0
    assert aws.view(aws.group(HealthCheckGracePeriod=120))["HealthCheckGracePeriod"] == 120
