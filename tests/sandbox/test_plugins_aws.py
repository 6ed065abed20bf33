"""The aws stand-in behaves like the real provider where this project relies on it; see docs/sandbox.md."""

import base64
import importlib
import inspect
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aws_case import IMAGE, LAUNCH_HOOK, SUBNETS, Aws, running_aws, until
from plugin_case import Engine, Resource

from sandbox.plugins.aws import KINDS
from sandbox.plugins.aws import Aws as AwsPlugin
from sandbox.plugins.host import PluginError
from sandbox.plugins.values import UNKNOWN

GROUP = "aws:autoscaling/group:Group"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
ROLE = "aws:iam/role:Role"
_ALLOW = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
ASSUME = json.dumps({"Version": "2012-10-17", "Statement": [_ALLOW]})
HOOK = {
    "name": LAUNCH_HOOK["LifecycleHookName"],
    "lifecycleTransition": LAUNCH_HOOK["LifecycleTransition"],
    "defaultResult": "ABANDON",
    "heartbeatTimeout": 900,
}
PROCESSES = ("Launch", "AZRebalance")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with running_aws(tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@pytest.fixture
def aws(server: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name, value in {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    server.switch()
    yield server
    server.switch()


@pytest.fixture
def engine(aws: Aws) -> Engine:
    return Engine(AwsPlugin(), region="us-west-2")


def template(engine: Engine, aws: Aws, **changes: Any) -> Resource:
    aws.count += 1
    inputs = {"name": f"template-{aws.count}", "imageId": IMAGE, "instanceType": "m5.2xlarge"}
    return engine.create(TEMPLATE, "template", {**inputs, **changes})


def group_inputs(aws: Aws, template_id: str, **changes: Any) -> dict[str, Any]:
    aws.count += 1
    return {
        "name": f"prod-worker-{aws.count}",
        "minSize": 0,
        "maxSize": 5,
        "vpcZoneIdentifiers": SUBNETS,
        "launchTemplate": {"id": template_id, "version": "1"},
        "waitForCapacityTimeout": "0",
        **changes,
    }


@pytest.fixture
def lt(engine: Engine, aws: Aws) -> str:
    return template(engine, aws).id


def suspended(aws: Aws, name: str) -> list[str]:
    return [each["ProcessName"] for each in aws.view(name)["SuspendedProcesses"]]


def test_every_known_input_exists_in_the_real_provider():
    from pulumi._types import input_type_py_to_pulumi_names

    for token, kind in KINDS.items():
        module, _, name = token.removeprefix("aws:").partition("/")
        arguments = getattr(importlib.import_module(f"pulumi_aws.{module}"), name.partition(":")[2] + "Args")
        assert inspect.isclass(arguments)
        real = set(input_type_py_to_pulumi_names(arguments).values())
        assert set(kind.inputs) <= real, token  # type: ignore[attr-defined]


@pytest.mark.sandbox
def test_unknown_inputs_are_refused_by_name(engine):
    _, failures = engine.check(GROUP, "g", {"minSize": 1, "maxSize": 1, "launchTemplate": {"id": "lt-1"}, "maxSise": 2})
    assert list(failures) == ["maxSise"]
    _, failures = engine.check(TEMPLATE, "t", {"metadataOptions": {"httpToken": "required"}})
    assert list(failures) == ["metadataOptions.httpToken"]
    _, failures = engine.check(GROUP, "g", {"minSize": 1})
    assert set(failures) == {"maxSize", "launchTemplate"}
    ask = {"minSize": 1, "maxSize": 1, "launchTemplate": {"id": "lt-1"}, "waitForCapacityTimeout": "ten minutes"}
    _, failures = engine.check(GROUP, "g", ask)
    assert list(failures) == ["waitForCapacityTimeout"]


@pytest.mark.sandbox
def test_computed_outputs_are_unknown_in_preview_and_nothing_is_created(engine, aws):
    seen = engine.preview(TEMPLATE, "t", {"name": "only-previewed", "imageId": IMAGE})
    assert (seen["arn"], seen["latestVersion"], seen["imageId"]) == (UNKNOWN, UNKNOWN, IMAGE)
    assert not aws.ec2.describe_launch_templates(
        Filters=[{"Name": "launch-template-name", "Values": ["only-previewed"]}]
    )["LaunchTemplates"]
    seen = engine.preview(GROUP, "g", group_inputs(aws, "lt-1", launchTemplate={"id": UNKNOWN, "version": UNKNOWN}))
    assert seen["arn"] is UNKNOWN
    assert seen["launchTemplate"]["id"] is UNKNOWN


@pytest.mark.sandbox
def test_launch_template_gets_a_new_version_for_every_change(engine, aws):
    user_data = base64.b64encode(b"#!/bin/sh\n").decode()
    made = template(
        engine,
        aws,
        updateDefaultVersion=True,
        userData=user_data,
        metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 1},
        blockDeviceMappings=[{"deviceName": "/dev/sda1", "ebs": {"volumeSize": 80, "encrypted": "true"}}],
        networkInterfaces=[{"securityGroups": ["sg-0123456789abcdef0"], "associatePublicIpAddress": "false"}],
        tagSpecifications=[{"resourceType": "instance", "tags": {"a": "b"}}],
        instanceMarketOptions={"marketType": "spot"},
        tags={"team": "platform"},
    )
    assert made.id.startswith("lt-")
    assert made.state["arn"] == f"arn:aws:ec2:us-west-2:123456789012:launch-template/{made.id}"
    assert (made.state["latestVersion"], made.state["defaultVersion"]) == (1, 1)
    assert made.diff(made.inputs) == ([], [])
    news = {**made.inputs, "instanceType": "m5.large"}
    assert made.diff(news) == (["instanceType"], [])
    previewed = made.update(news, preview=True)
    assert (previewed["latestVersion"], previewed["defaultVersion"]) == (UNKNOWN, UNKNOWN)
    made.update(news)
    assert (made.state["latestVersion"], made.state["defaultVersion"]) == (2, 2)
    data = aws.ec2.describe_launch_template_versions(LaunchTemplateId=made.id, Versions=["2"])[
        "LaunchTemplateVersions"
    ][0]["LaunchTemplateData"]
    assert (data["InstanceType"], data["UserData"]) == ("m5.large", user_data)
    assert data["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    assert data["NetworkInterfaces"][0]["AssociatePublicIpAddress"] is False
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    made.update({**news, "tags": {"team": "other"}})
    assert (made.state["latestVersion"], made.state["tags"]) == (2, {"team": "other"})
    assert made.diff({**news, "name": "other"})[1] == ["name"]
    made.delete()
    assert not made.refresh()


@pytest.mark.sandbox
def test_initial_hooks_are_given_at_creation_and_never_again(engine, aws, lt):
    made = engine.create(GROUP, "g", group_inputs(aws, lt, desiredCapacity=1, initialLifecycleHooks=[HOOK]))
    assert [m["LifecycleState"] for m in aws.members(made.id)] == ["Pending:Wait"]
    aws.autoscaling.delete_lifecycle_hook(AutoScalingGroupName=made.id, LifecycleHookName=HOOK["name"])
    made.update({**made.inputs, "initialLifecycleHooks": [{**HOOK, "heartbeatTimeout": 60}]})
    assert not aws.autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=made.id)["LifecycleHooks"]
    made.refresh()
    assert made.state["initialLifecycleHooks"][0]["heartbeatTimeout"] == 60


@pytest.mark.sandbox
def test_capacity_is_waited_for_unless_the_timeout_is_0(engine, aws, lt):
    made = engine.create(GROUP, "g", group_inputs(aws, lt, desiredCapacity=1, initialLifecycleHooks=[HOOK]))
    assert aws.members(made.id, "Pending:Wait")
    inputs = group_inputs(aws, lt, desiredCapacity=1, initialLifecycleHooks=[HOOK], waitForCapacityTimeout="1s")
    with pytest.raises(PluginError, match="want at least 1 healthy instance") as caught:
        engine.create(GROUP, "g", inputs)
    assert caught.value.partial is not None
    assert caught.value.partial[0] == inputs["name"]

    def release() -> None:
        member = until(lambda: aws.members(waited["name"], "Pending:Wait"))
        aws.complete(waited["name"], member[0]["InstanceId"])

    waited = group_inputs(aws, lt, minSize=1, initialLifecycleHooks=[HOOK], waitForCapacityTimeout="30s")
    thread = threading.Thread(target=lambda: (until(lambda: exists(aws, waited["name"])), release()))
    thread.start()
    engine.create(GROUP, "g", waited)
    thread.join()
    assert aws.members(waited["name"], "InService")


def exists(aws: Aws, name: str) -> bool:
    return bool(aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"])


@pytest.mark.sandbox
def test_wait_for_capacity_ends_with_the_reason_of_a_failed_launch(engine, aws, lt):
    aws.switch(zoneWithoutCapacity=["us-west-2a", "us-west-2b", "us-west-2c"])
    with pytest.raises(PluginError, match=r"capacity satisfied: scaling activity .* Failed: .*sufficient m5.2xlarge"):
        engine.create(GROUP, "g", group_inputs(aws, lt, minSize=1, waitForCapacityTimeout="30s"))


@pytest.mark.sandbox
def test_duplicate_name_is_refused(engine, aws, lt):
    made = engine.create(GROUP, "g", group_inputs(aws, lt))
    with pytest.raises(PluginError, match=r"creating Auto Scaling Group .* AlreadyExists: .* already exists"):
        engine.create(GROUP, "g2", {**group_inputs(aws, lt), "name": made.id})


@pytest.mark.sandbox
def test_group_whose_processes_cannot_be_suspended_is_still_known(engine, aws, lt):
    aws.switch(denyActions=["autoscaling:SuspendProcesses"])
    inputs = group_inputs(aws, lt, suspendedProcesses=["AZRebalance"])
    with pytest.raises(PluginError, match="not authorized to perform: autoscaling:SuspendProcesses") as caught:
        engine.create(GROUP, "g", inputs)
    assert caught.value.partial is not None
    assert caught.value.partial[1]["suspendedProcesses"] == []


@pytest.mark.sandbox
def test_refresh_reads_tags_sizes_and_suspended_processes(engine, aws, lt):
    tags = [{"key": "nodepools.dev/pool", "value": "worker", "propagateAtLaunch": True}]
    inputs = group_inputs(aws, lt, desiredCapacity=2, tags=tags, healthCheckGracePeriod=0)
    made = engine.create(GROUP, "g", inputs)
    assert made.refresh()
    inputs = dict(made.inputs)
    assert inputs["healthCheckGracePeriod"] == 0
    assert set(inputs["launchTemplate"]) == {"id", "version"}
    assert made.diff(inputs) == ([], [])
    aws.autoscaling.suspend_processes(AutoScalingGroupName=made.id, ScalingProcesses=list(PROCESSES))
    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=made.id, MinSize=2, MaxSize=2)
    aws.autoscaling.create_or_update_tags(
        Tags=[
            {
                "ResourceId": made.id,
                "ResourceType": "auto-scaling-group",
                "Key": "extra",
                "Value": "1",
                "PropagateAtLaunch": False,
            }
        ]
    )
    assert made.refresh()
    assert sorted(made.state["suspendedProcesses"]) == sorted(PROCESSES)
    assert (made.state["minSize"], made.state["maxSize"]) == (2, 2)
    assert (made.inputs["minSize"], made.inputs["maxSize"]) == (2, 2)
    assert {tag["key"] for tag in made.inputs["tags"]} == {"nodepools.dev/pool", "extra"}
    changed, replaces = made.diff(inputs)
    assert set(changed) == {"minSize", "maxSize", "suspendedProcesses", "tags"}
    assert replaces == []


@pytest.mark.sandbox
def test_freeze_is_undone_by_an_update_unless_it_is_ignored(engine, aws, lt):
    made = engine.create(GROUP, "g", group_inputs(aws, lt, desiredCapacity=1))
    inputs = dict(made.inputs)
    aws.autoscaling.suspend_processes(AutoScalingGroupName=made.id, ScalingProcesses=list(PROCESSES))
    made.refresh()
    assert made.diff(inputs, ignore=("suspendedProcesses",)) == ([], [])
    made.update({**inputs, "maxSize": 6}, ignore=("suspendedProcesses",))
    assert suspended(aws, made.id) == sorted(PROCESSES)
    assert aws.view(made.id)["MaxSize"] == 6
    made.update({**inputs, "maxSize": 6})
    assert suspended(aws, made.id) == []


@pytest.mark.sandbox
def test_capacity_left_out_is_left_alone(engine, aws, lt):
    made = engine.create(GROUP, "g", group_inputs(aws, lt, minSize=1))
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=made.id, DesiredCapacity=3)
    inputs = dict(made.inputs)
    made.refresh()
    assert made.diff(inputs) == ([], [])


@pytest.mark.sandbox
def test_order_of_sets_is_no_change_and_a_name_replaces(engine, aws, lt):
    made = engine.create(GROUP, "g", group_inputs(aws, lt))
    assert made.diff({**made.inputs, "vpcZoneIdentifiers": SUBNETS[::-1]}) == ([], [])
    assert made.diff({**made.inputs, "name": "other"}) == (["name"], ["name"])
    assert made.diff({**made.inputs, "launchTemplate": {"id": lt, "version": UNKNOWN}}) == (["launchTemplate"], [])


@pytest.mark.sandbox
def test_delete_scales_to_0_and_waits_for_termination_hooks(engine, aws, lt):
    goodbye = {**HOOK, "name": "goodbye", "lifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}
    made = engine.create(GROUP, "g", group_inputs(aws, lt, desiredCapacity=1, initialLifecycleHooks=[goodbye]))
    with pytest.raises(PluginError, match=r"drain: timeout .*last state: 1 instance"):
        made.delete(timeout=1)
    (member,) = aws.members(made.id, "Terminating:Wait")
    aws.complete(made.id, member["InstanceId"], hook="goodbye")
    made.delete()
    assert not exists(aws, made.id)
    made.delete()  # again: nothing to do


@pytest.mark.sandbox
def test_delete_lifts_scale_in_protection(engine, aws, lt):
    made = engine.create(GROUP, "g", group_inputs(aws, lt, desiredCapacity=1, protectFromScaleIn=True))
    assert aws.members(made.id)[0]["ProtectedFromScaleIn"]
    made.delete(timeout=20)
    assert not exists(aws, made.id)


@pytest.mark.sandbox
def test_force_delete_does_not_wait(engine, aws, lt):
    goodbye = {**HOOK, "name": "goodbye", "lifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}
    made = engine.create(
        GROUP, "g", group_inputs(aws, lt, desiredCapacity=1, forceDelete=True, initialLifecycleHooks=[goodbye])
    )
    made.delete(timeout=1)
    assert not exists(aws, made.id)


@pytest.mark.sandbox
def test_group_that_someone_deleted_is_gone_on_refresh(engine, aws, lt):
    made = engine.create(GROUP, "g", group_inputs(aws, lt))
    aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=made.id)
    assert not made.refresh()


@pytest.mark.sandbox
def test_role_with_policies_and_profile(engine, aws):
    role = engine.create(ROLE, "node", {"assumeRolePolicy": ASSUME})
    name = role.state["name"]
    assert role.state["arn"] == f"arn:aws:iam::123456789012:role/{name}"
    assert role.diff({**role.inputs, "assumeRolePolicy": json.dumps(json.loads(ASSUME), indent=2)}) == ([], [])
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    policy = engine.create("aws:iam/rolePolicy:RolePolicy", "p", {"role": name, "policy": json.dumps(document)})
    arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    attached = engine.create(token, "a", {"role": name, "policyArn": arn})
    profile = engine.create("aws:iam/instanceProfile:InstanceProfile", "node", {"role": name})
    assert profile.state["arn"].endswith(f":instance-profile/{profile.state['name']}")
    assert all(each.refresh() for each in (role, policy, attached, profile))
    with pytest.raises(PluginError, match=r"deleting IAM Role .*DeleteConflict"):
        role.delete()
    document["Statement"][0]["Action"] = "s3:Get*"
    policy.update({**policy.inputs, "policy": json.dumps(document)})
    assert aws.iam.get_role_policy(RoleName=name, PolicyName=policy.state["name"])["PolicyDocument"] == document
    for each in (profile, attached, policy, role):
        each.delete()
    assert not any(each.refresh() for each in (role, policy, attached, profile))


@pytest.mark.sandbox
def test_broken_policy_document_is_refused_before_anything_is_created(engine):
    assert list(engine.check(ROLE, "node", {"assumeRolePolicy": "{"})[1]) == ["assumeRolePolicy"]


@pytest.mark.sandbox
def test_provider_settings_arrive_json_encoded(aws, lt):
    tags = json.dumps({"tags": {"stack": "dev"}})
    engine = Engine(AwsPlugin(), region="us-west-2", defaultTags=tags, allowedAccountIds='["123456789012"]')
    made = template(engine, aws, tags={"team": "platform"})
    assert made.state["tagsAll"] == {"stack": "dev", "team": "platform"}
    assert made.state["tags"] == {"team": "platform"}


@pytest.mark.sandbox
def test_wrong_account_is_refused(aws):
    with pytest.raises(PluginError, match="AWS account ID not allowed: 123456789012"):
        Engine(AwsPlugin(), region="us-west-2", allowedAccountIds='["210987654321"]')
    with pytest.raises(PluginError, match="AWS account ID not allowed"):
        Engine(AwsPlugin(), region="us-west-2", forbiddenAccountIds='["123456789012"]')


@pytest.mark.sandbox
def test_functions(engine, aws):
    functions = engine.plugin.functions()
    assert functions["aws:index/getCallerIdentity:getCallerIdentity"]({})["accountId"] == "123456789012"
    assert functions["aws:index/getRegion:getRegion"]({})["region"] == "us-west-2"
    subnet = functions["aws:ec2/getSubnet:getSubnet"]
    assert subnet({"id": SUBNETS[2]})["availabilityZone"] == "us-west-2c"
    with pytest.raises(PluginError, match="no result matched"):
        subnet({"id": "subnet-00000000000000000"})
    image = functions["aws:ec2/getAmi:getAmi"]
    found = image({"filters": [{"name": "name", "values": ["el7-7.7.1908"]}], "owners": ["self"], "mostRecent": True})
    assert found["id"] == IMAGE
    parameter = functions["aws:ssm/getParameter:getParameter"]
    assert parameter({"name": "/nodepools/images/el7"})["value"] == IMAGE


@pytest.mark.sandbox
def test_expired_session_is_one_clear_message(engine, aws):
    aws.switch(expiredToken=True)
    with pytest.raises(PluginError, match="ExpiredToken: The security token included in the request is expired"):
        engine.plugin.functions()["aws:index/getCallerIdentity:getCallerIdentity"]({})


@pytest.mark.sandbox
def test_unknown_provider_settings_wait_until_they_are_known(aws):
    engine = Engine(AwsPlugin(), region=UNKNOWN)
    assert engine.preview(TEMPLATE, "t", {"imageId": IMAGE})["arn"] is UNKNOWN
    with pytest.raises(PluginError, match="not known in preview"):
        engine.plugin.functions()["aws:index/getCallerIdentity:getCallerIdentity"]({})
