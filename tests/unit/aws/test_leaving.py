"""Taking instances out of target groups, against target groups in memory and against moto."""

import pytest

from pulumi_nodepools.aws import classic, targets
from pulumi_nodepools.aws.leaving import Leaving
from pulumi_nodepools.aws.rejoining import rejoin
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
            check = "31999" if name.startswith("local") else "traffic-port"
            names = {"TargetGroupArn": f"arn:{name}", "TargetGroupName": name}
            return {**names, "Protocol": kind, "Port": 30080, "HealthCheckPort": check}

        pods = {**entry("pods"), "TargetType": "ip"}
        return {"TargetGroups": [*map(entry, self.groups), pods]}

    def describe_load_balancers(self, _name, _params):
        return {"LoadBalancerDescriptions": []}

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


def test_where_nodes_are_healthy_by_their_own_pods_those_of_later_batches_take_over():
    aws = Balancers(local={"old-1": "healthy", "old-2": "healthy", "new": "unhealthy"})
    leaving = Leaving(aws, settle=120)
    old = {"old-1", "old-2"}
    assert leaving.unready(["old-1"], old) == {"old-1": []}, "else no pod would ever move to the new node"
    (reason,) = leaving.unready(["old-1", "old-2"], old)["old-1"]
    assert reason.startswith("target group local: 0 targets outside this batch")
    aws.groups["local"]["old-1"] = "draining"
    assert leaving.unready(["old-2"], old)["old-2"], "the last ones wait for the pods that have moved"
    aws.groups["local"]["new"] = "healthy"
    assert leaving.unready(["old-2"], old) == {"old-2": []}


@pytest.mark.parametrize(
    ("port", "local"), [("31999", True), ("30080", False), ("10256", False), ("traffic-port", False)]
)
def test_health_checks_of_a_nodes_own_pods_are_known_by_their_port(port, local):
    aws = Balancers(web={})
    plain = aws.describe_target_groups("", {})["TargetGroups"][0]
    aws.describe_target_groups = lambda *_: {"TargetGroups": [plain | {"HealthCheckPort": port}]}
    assert [group.local for group in targets.instance_groups(aws)] == [local]


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


def test_what_was_taken_out_comes_back_where_it_was_whoever_had_put_it_there(session, make_group):
    make_group()
    vpc = session.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    arns = {}
    for name in ("attached", "by-hand", "deleted"):
        made = session.call("elbv2", "create_target_group", Name=name, Protocol="HTTP", Port=80, VpcId=vpc)
        arns[name] = made["TargetGroups"][0]["TargetGroupArn"]
    session.call(
        "autoscaling",
        "attach_load_balancer_target_groups",
        AutoScalingGroupName="prod-worker-v1",
        TargetGroupARNs=[arns["attached"]],
    )
    gone, stays = sorted(target.instance for target in targets.registered(session, arns["attached"]))
    for name in ("by-hand", "deleted"):
        session.call("elbv2", "register_targets", TargetGroupArn=arns[name], Targets=[{"Id": gone, "Port": 8080}])
    leaving = Leaving(session, settle=0)
    leaving.unready([gone], None)
    noted = leaving.entries(gone)
    assert set(noted) == {f"{arns['attached']} 80", f"{arns['by-hand']} 8080", f"{arns['deleted']} 8080"}
    leaving.left([gone])
    assert leaving.left([gone]) == {gone: []}
    assert [target.instance for target in targets.registered(session, arns["attached"])] == [stays]
    session.call("elbv2", "delete_target_group", TargetGroupArn=arns["deleted"])
    assert rejoin(session, {gone: noted}) == 2
    assert rejoin(session, {gone: noted}) == 0
    assert {target.instance for target in targets.registered(session, arns["attached"])} == {gone, stays}
    assert [(target.instance, target.port) for target in targets.registered(session, arns["by-hand"])] == [(gone, 8080)]


def test_nothing_that_was_left_asks_nothing_of_aws():
    assert rejoin(None, {"i-1": []}) == 0


def test_classic_load_balancers_are_left_and_come_back_to(session, make_group):
    make_group(desired=2)
    listener = {"Protocol": "tcp", "LoadBalancerPort": 80, "InstancePort": 30080}
    session.call(
        "elb", "create_load_balancer", LoadBalancerName="web", Listeners=[listener], AvailabilityZones=["us-west-2a"]
    )
    session.call(
        "elb",
        "modify_load_balancer_attributes",
        LoadBalancerName="web",
        LoadBalancerAttributes={"ConnectionDraining": {"Enabled": True, "Timeout": 40}},
    )
    pages = session.pages("autoscaling", "describe_auto_scaling_instances", "AutoScalingInstances")
    old, new = (entry["InstanceId"] for entry in pages)
    session.call(
        "elb", "register_instances_with_load_balancer", LoadBalancerName="web", Instances=[{"InstanceId": old}]
    )
    now = [1000.0]
    leaving = Leaving(session, settle=120, clock=lambda: now[0])
    assert leaving.unready([old], {old}) == {
        old: ["load balancer web: 0 targets outside this version are healthy, 0 are starting"]
    }
    session.call(
        "elb", "register_instances_with_load_balancer", LoadBalancerName="web", Instances=[{"InstanceId": new}]
    )
    assert leaving.unready([old], {old}) == {old: []}
    assert leaving.left([old]) == {old: ["load balancer web: healthy"]}
    assert [target.instance for target in classic.registered(session, "web")] == [new]
    now[0] += 39
    assert leaving.left([old]) == {old: ["load balancer web: settles for 1 s"]}
    now[0] += 1
    assert leaving.left([old]) == {old: []}
    assert leaving.allowance(old) == 40
    assert rejoin(session, {old: leaving.entries(old)}) == 1
    assert {target.instance for target in classic.registered(session, "web")} == {old, new}


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"State": "InService", "Description": "N/A"}, "healthy"),
        ({"State": "InService", "Description": "Instance deregistration currently in progress."}, "draining"),
        (
            {
                "State": "OutOfService",
                "ReasonCode": "ELB",
                "Description": "Instance registration is still in progress.",
            },
            "initial",
        ),
        ({"State": "OutOfService", "ReasonCode": "Instance", "Description": "Instance has failed …"}, "unhealthy"),
    ],
)
def test_states_of_a_classic_load_balancers_instances_in_the_words_of_target_groups(told, state):
    class Elb:
        def call(self, _service, _operation, **_params):
            return {"InstanceStates": [{"InstanceId": "i-1", **told}]}

    assert [target.state for target in classic.registered(Elb(), "web")] == [state]
