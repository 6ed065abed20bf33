"""Taking instances out of target groups, against target groups in memory and against moto."""

import pytest

from pulumi_nodepools.aws import targets
from pulumi_nodepools.aws.leaving import Leaving
from pulumi_nodepools.errors import AwsError


class Balancers:
    """AWS's part: states of targets by group, changed by the test; deregistered ones drain until it says so."""

    def __init__(self, **groups):
        self.groups = groups
        self.deregistered = []

    def call(self, _service, operation, **params):
        name = params.get("TargetGroupArn", "").removeprefix("arn:")
        return getattr(self, operation)(name, params)

    def describe_target_groups(self, _name, _params):
        def entry(name):
            kind = "TCP" if name.startswith("nlb") else "HTTP"
            return {"TargetGroupArn": f"arn:{name}", "TargetGroupName": name, "Protocol": kind}

        pods = {**entry("pods"), "TargetType": "ip"}
        return {"TargetGroups": [*map(entry, self.groups), pods]}

    def describe_target_health(self, name, _params):
        return {
            "TargetHealthDescriptions": [
                {"Target": {"Id": instance, "Port": 30080}, "TargetHealth": {"State": state}}
                for instance, state in self.groups[name].items()
            ]
        }

    def describe_target_group_attributes(self, _name, _params):
        return {"Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "30"}]}

    def deregister_targets(self, name, params):
        for target in params["Targets"]:
            self.deregistered.append((name, target["Id"], target["Port"]))
            self.groups[name][target["Id"]] = "draining"
        return {}


def test_nobody_leaves_before_a_successor_is_healthy_and_none_is_starting():
    aws = Balancers(web={"old": "healthy", "new": "initial"})
    leaving = Leaving(aws, settle=120)
    assert leaving.unready(["old"], {"old"}) == {
        "old": ["target group web: 0 targets outside this version are healthy, 1 are starting"]
    }
    aws.groups["web"]["new"] = "healthy"
    assert leaving.unready(["old"], {"old"}) == {"old": []}
    assert leaving.unready(["old"], None) == {"old": []}
    assert aws.deregistered == []


def test_an_instance_has_left_only_when_every_group_says_unused_or_knows_it_no_more():
    aws = Balancers(web={"old": "healthy", "new": "healthy"}, api={"old": "unhealthy"}, other={"new": "healthy"})
    leaving = Leaving(aws, settle=120)
    leaving.unready(["old"], {"old"})
    assert leaving.left(["old"])["old"] == ["target group api: unhealthy", "target group web: healthy"]
    assert aws.deregistered == [("api", "old", 30080), ("web", "old", 30080)]
    aws.groups["web"]["old"] = "unused"
    assert leaving.left(["old"]) == {"old": ["target group api: draining"]}
    del aws.groups["api"]["old"]
    assert leaving.left(["old"]) == {"old": []}
    assert len(aws.deregistered) == 2, "once is enough"
    assert leaving.allowance("old") == 30


def test_network_load_balancers_settle_after_deregistration():
    now = [1000.0]
    aws = Balancers(nlb={"old": "healthy", "new": "healthy"})
    leaving = Leaving(aws, settle=120, clock=lambda: now[0])
    leaving.unready(["old"], {"old"})
    leaving.left(["old"])
    del aws.groups["nlb"]["old"]
    now[0] += 119
    assert leaving.left(["old"]) == {"old": ["target group nlb: settles for 1 s"]}
    now[0] += 1
    assert leaving.left(["old"]) == {"old": []}
    assert leaving.allowance("old") == 150


def test_a_call_that_failed_is_no_proof_of_not_being_registered():
    aws = Balancers(web={"old": "healthy", "new": "healthy"})
    leaving = Leaving(aws, settle=120)
    described, aws.describe_target_health = (
        aws.describe_target_health,
        lambda *_: (_ for _ in ()).throw(AwsError("503")),
    )
    with pytest.raises(AwsError):
        leaving.unready(["old"], {"old"})
    aws.describe_target_health = described
    leaving.unready(["old"], {"old"})
    assert leaving.left(["old"]) == {"old": ["target group web: healthy"]}


def test_an_instance_in_no_group_has_nothing_to_leave():
    leaving = Leaving(Balancers(web={"new": "healthy"}), settle=120)
    assert leaving.unready(["old"], {"old"}) == {"old": []}
    assert leaving.left(["old"]) == {"old": []}


def test_what_was_taken_out_comes_back_with_its_group(session, make_group):
    make_group()
    vpc = session.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    made = session.call("elbv2", "create_target_group", Name="web", Protocol="HTTP", Port=80, VpcId=vpc)
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    name = "prod-worker-v1"
    session.call("autoscaling", "attach_load_balancer_target_groups", AutoScalingGroupName=name, TargetGroupARNs=[arn])
    before = {target.instance for target in targets.registered(session, arn)}
    assert len(before) == 2
    leaving = Leaving(session, settle=0)
    gone = sorted(before)[:1]
    leaving.unready(gone, None)
    leaving.left(gone)
    assert leaving.left(gone) == {gone[0]: []}
    assert {target.instance for target in targets.registered(session, arn)} == before - set(gone)
    assert targets.rejoin(session, [name]) == 1
    assert targets.rejoin(session, [name]) == 0
    assert {target.instance for target in targets.registered(session, arn)} == before
