"""Target groups of the sandbox's AWS: states over time, by groups and by hand, and what is told of the data path."""

import json
import time
import urllib.request

import pytest
from aws_case import IMAGE, SUBNETS, running_aws, until

from sandbox.aws import CLOCK, HISTORY, PROBES
from sandbox.aws.balancers import TAIL

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    with running_aws(tmp_path_factory.mktemp("aws")) as aws:
        yield aws


def target_group(aws, protocol="HTTP", *, checks=2, interval=15, delay=30):
    """Healthy after `checks` times `interval` seconds, draining for `delay` seconds, all of AWS."""
    vpc = aws.ec2.describe_subnets(SubnetIds=SUBNETS[:1])["Subnets"][0]["VpcId"]
    made = aws.elbv2.create_target_group(
        Name=aws.next_name(),
        Protocol=protocol,
        Port=80,
        VpcId=vpc,
        HealthCheckIntervalSeconds=interval,
        HealthCheckTimeoutSeconds=5,
        HealthyThresholdCount=checks,
        UnhealthyThresholdCount=2,
    )
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    wait = {"Key": "deregistration_delay.timeout_seconds", "Value": str(delay)}
    aws.elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[wait])
    return arn


def instance(aws):
    made = aws.ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1, SubnetId=SUBNETS[0])
    return made["Instances"][0]["InstanceId"]


def states(aws, arn, *ids):
    asked = {"Targets": [{"Id": each} for each in ids]} if ids else {}
    told = aws.elbv2.describe_target_health(TargetGroupArn=arn, **asked)["TargetHealthDescriptions"]
    return {each["Target"]["Id"]: each["TargetHealth"]["State"] for each in told}


def history(aws):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(aws.endpoint + HISTORY, timeout=10) as answer:
        return json.load(answer)


def sent(aws, arn, target):
    """Since when and until when requests went there."""
    return next(((begin, end) for each, begin, end in history(aws)["sent"][arn] if each == target), None)


def tell(aws, answering):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(aws.endpoint + PROBES, json.dumps(answering).encode(), method="PUT")
    with opener.open(request, timeout=10) as answer:
        assert answer.status == 200


def seconds(aws_seconds):
    return pytest.approx(aws_seconds / CLOCK, abs=0.01)


def test_a_target_is_initial_then_healthy_then_draining_then_unused(aws):
    arn, target = target_group(aws), instance(aws)
    assert states(aws, arn, target) == {target: "unused"}
    before = time.time()
    aws.elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": target}])
    assert states(aws, arn) == {target: "initial"}
    assert sent(aws, arn, target) is None
    until(lambda: states(aws, arn) == {target: "healthy"})
    begin, end = until(lambda: sent(aws, arn, target))
    assert begin >= before + 30 / CLOCK
    assert end is None
    left = time.time()
    aws.elbv2.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": target}])
    assert states(aws, arn) == {target: "draining"}
    until(lambda: states(aws, arn) == {})
    assert time.time() >= left + 30 / CLOCK
    assert states(aws, arn, target) == {target: "unused"}
    _, end = sent(aws, arn, target)
    assert left <= end < left + 30 / CLOCK, "an Application Load Balancer sends nothing new at once"


def test_a_network_load_balancer_sends_for_two_minutes_more_and_says_nothing_of_it(aws):
    arn, target = target_group(aws, "TCP", interval=6, delay=0), instance(aws)
    aws.elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": target}])
    until(lambda: sent(aws, arn, target))
    left = time.time()
    aws.elbv2.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": target}])
    assert states(aws, arn) == {}
    assert sent(aws, arn, target)[1] is None, "still"
    _, end = until(lambda: found if (found := sent(aws, arn, target))[1] else None)
    assert end >= left + TAIL / CLOCK


def test_an_instance_that_ends_is_sent_requests_until_its_checks_have_failed(aws):
    arn, target = target_group(aws, interval=6), instance(aws)
    aws.elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": target}])
    until(lambda: sent(aws, arn, target))
    aws.ec2.terminate_instances(InstanceIds=[target])
    assert states(aws, arn) == {target: "unused"}
    until(lambda: sent(aws, arn, target)[1])
    assert sent(aws, arn, target)[1] - history(aws)["ended"][target] == seconds(2 * 6)


def test_a_target_that_answers_no_health_check_gets_no_requests_and_is_unhealthy_until_it_does(aws):
    arn, target = target_group(aws, interval=6), instance(aws)
    tell(aws, {arn: []})
    aws.elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": target}])
    assert states(aws, arn) == {target: "initial"}
    until(lambda: states(aws, arn) == {target: "unhealthy"})
    tell(aws, {arn: [target]})
    until(lambda: states(aws, arn) == {target: "healthy"})
    failing = time.time()
    tell(aws, {arn: []})
    until(lambda: states(aws, arn) == {target: "unhealthy"})
    assert sent(aws, arn, target)[1] >= failing + 2 * 6 / CLOCK


def test_a_target_that_comes_back_while_it_drains_is_initial_again(aws):
    arn, target = target_group(aws, interval=6, delay=600), instance(aws)
    aws.elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": target}])
    aws.elbv2.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": target}])
    assert states(aws, arn) == {target: "draining"}
    aws.elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": target}])
    until(lambda: states(aws, arn) == {target: "healthy"})


def test_a_group_registers_what_it_launches_once_and_waits_for_open_connections_before_it_ends_it(aws):
    arn = target_group(aws, interval=6, delay=30)
    name = aws.group(low=0, DesiredCapacity=2, TargetGroupARNs=[arn])
    first, second = (member["InstanceId"] for member in aws.members(name))
    until(lambda: states(aws, arn) == {first: "healthy", second: "healthy"})
    aws.elbv2.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": first}])
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=3)
    (third,) = {member["InstanceId"] for member in aws.members(name)} - {first, second}
    assert third in states(aws, arn)
    until(lambda: first not in states(aws, arn))
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    assert [member["InstanceId"] for member in aws.members(name, "Terminating")] == [second, third]
    until(lambda: aws.members(name) == [])
    ended = history(aws)["ended"]
    assert ended[second] >= sent(aws, arn, second)[1] + 30 / CLOCK
