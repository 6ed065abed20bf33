"""Which lacking rights are named, what asks for them, and what is said where nobody can tell."""

import pytest

from pulumi_nodepools.aws import rights
from pulumi_nodepools.errors import AccessDeniedError, AwsError, CredentialsExpiredError

ROLE = "arn:aws:sts::123456789012:assumed-role/ci/session"
GROUP, TARGETS = "arn:group", "arn:targets"
CLASSIC = "arn:aws:elasticloadbalancing:us-west-2:123456789012:loadbalancer/old"
ANSWERS = {
    "get_caller_identity": {"Arn": ROLE},
    "describe_target_groups": {"TargetGroups": [{"TargetGroupArn": TARGETS, "TargetGroupName": "web"}]},
    "describe_load_balancers": {"LoadBalancerDescriptions": [{"LoadBalancerName": "old"}]},
    "describe_load_balancer_attributes": {"LoadBalancerAttributes": {}},
}


class Account:
    """Answers each call; `refused` operations are denied, `denied` actions are what the simulator says no to."""

    region = "us-west-2"

    def __init__(self, *refused, denied=(), conditions=(), error=None):
        self.refused, self.denied, self.conditions = refused, denied, conditions
        self.error = error or AccessDeniedError("no right")
        self.asked = []

    def call(self, _service, operation, **parameters):
        self.asked.append((operation, parameters))
        if operation in self.refused:
            raise self.error
        if operation != "simulate_principal_policy":
            return ANSWERS.get(operation, {})
        return {
            "EvaluationResults": [
                {
                    "EvalActionName": action,
                    "EvalDecision": "implicitDeny" if action in self.denied else "allowed",
                    "MissingContextValues": ["aws:ResourceTag/team"] if action in self.conditions else [],
                }
                for action in parameters["ActionNames"]
            ]
        }


def _ask(account, balancers=True):
    return rights.ask(account, [GROUP], balancers=balancers)


def test_nothing_is_said_where_everything_is_allowed():
    account = Account()
    assert (str(_ask(account)), _ask(account).unchecked) == ("", "")
    simulated = {
        (parameters["PolicySourceArn"], parameters["ResourceArns"][0])
        for operation, parameters in account.asked
        if operation == "simulate_principal_policy"
    }
    role = "arn:aws:iam::123456789012:role/ci"
    assert simulated == {(role, GROUP), (role, TARGETS), (role, CLASSIC)}


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("describe_auto_scaling_groups", "autoscaling:DescribeAutoScalingGroups"),
        ("describe_scaling_activities", "autoscaling:DescribeScalingActivities"),
        ("describe_instances", "ec2:DescribeInstances"),
        ("describe_target_groups", "elasticloadbalancing:DescribeTargetGroups"),
        ("describe_target_health", "elasticloadbalancing:DescribeTargetHealth"),
        ("describe_target_group_attributes", "elasticloadbalancing:DescribeTargetGroupAttributes"),
        ("describe_load_balancers", "elasticloadbalancing:DescribeLoadBalancers"),
        ("describe_instance_health", "elasticloadbalancing:DescribeInstanceHealth"),
        ("describe_load_balancer_attributes", "elasticloadbalancing:DescribeLoadBalancerAttributes"),
    ],
)
def test_a_refused_look_is_named_with_identity_and_file(operation, action):
    answer = _ask(Account(operation))
    assert answer.lacking == (action,)
    assert str(answer) == (
        f"{ROLE} lacks 1 AWS rights that a drain needs: {action}. Attach docs/iam/drain.json to it and run again"
    )


@pytest.mark.parametrize(
    ("action", "where"),
    [
        ("autoscaling:SuspendProcesses", GROUP),
        ("elasticloadbalancing:DeregisterTargets", TARGETS),
        ("elasticloadbalancing:DeregisterInstancesFromLoadBalancer", CLASSIC),
    ],
)
def test_a_change_that_the_simulator_denies_is_named_with_its_object(action, where):
    with pytest.raises(AccessDeniedError, match=f"{action} on {where}.*Nothing was touched"):
        rights.require(Account(denied=[action]), [GROUP], balancers=True)


def test_a_denial_that_hangs_on_a_condition_unknown_to_the_simulator_is_none():
    action = "autoscaling:SuspendProcesses"
    assert _ask(Account(denied=[action], conditions=[action])).lacking == ()


@pytest.mark.parametrize("error", [AccessDeniedError("no right"), AwsError("NoSuchEntity")])
def test_changes_that_nobody_can_ask_about_are_said_to_be_unchecked(error):
    answer = _ask(Account("simulate_principal_policy", error=error))
    assert answer.lacking == ()
    assert answer.unchecked == f"what {ROLE} may change in AWS cannot be checked: {error}"


def test_load_balancers_are_left_alone_where_nobody_is_deregistered():
    account = Account()
    _ask(account, balancers=False)
    assert not [operation for operation, _ in account.asked if "target" in operation or "balancer" in operation]


@pytest.mark.parametrize(
    "operation", ["describe_instances", "describe_target_groups", "describe_target_health", "simulate_principal_policy"]
)
def test_expired_credentials_are_no_lacking_right(operation):
    with pytest.raises(CredentialsExpiredError):
        _ask(Account(operation, error=CredentialsExpiredError("expired")))


@pytest.mark.parametrize(
    ("caller", "known"),
    [
        (ROLE, "arn:aws:iam::123456789012:role/ci"),
        ("arn:aws-cn:sts::1:assumed-role/a/b", "arn:aws-cn:iam::1:role/a"),
        ("arn:aws:iam::123456789012:user/ops/ann", "arn:aws:iam::123456789012:user/ops/ann"),
    ],
)
def test_the_principal_behind_a_caller(caller, known):
    assert rights.principal(caller) == known
