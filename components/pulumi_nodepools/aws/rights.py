"""What a drain must be allowed to do in AWS, found out before anything is changed.

AWS has no dry run for groups and load balancers. What only reads is therefore called once; what changes something is
asked of IAM's policy simulator, where that is allowed. The policies that grant all of it are those of docs/iam.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi_nodepools.aws import classic, targets
from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.errors import AccessDeniedError, AwsError, CredentialsExpiredError
from pulumi_nodepools.names import partition

_GROUP_WRITES = (
    "autoscaling:ResumeProcesses",
    "autoscaling:SetDesiredCapacity",
    "autoscaling:SuspendProcesses",
    "autoscaling:TerminateInstanceInAutoScalingGroup",
    "autoscaling:UpdateAutoScalingGroup",
)


@dataclass(frozen=True)
class _Balancing:
    """What is asked of one kind of load balancing: `look` lists, `health` and `delay` read one entry."""

    look: Any
    listing: str
    health: str
    delay: str
    writes: tuple[str, ...]


_BALANCING = (
    _Balancing(
        targets,
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "elasticloadbalancing:DescribeTargetGroupAttributes",
        ("elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"),
    ),
    _Balancing(
        classic,
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeInstanceHealth",
        "elasticloadbalancing:DescribeLoadBalancerAttributes",
        (
            "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
            "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
        ),
    ),
)


@dataclass(frozen=True)
class Answer:
    """`lacking` names each action that is refused, and where; `unchecked` says why nobody can tell, if so."""

    identity: str
    lacking: tuple[str, ...] = ()
    unchecked: str = ""

    def __str__(self) -> str:
        if not self.lacking:
            return ""
        return (
            f"{self.identity} lacks {len(self.lacking)} AWS rights that a drain needs: {', '.join(self.lacking)}. "
            "Attach docs/iam/drain.json to it and run again"
        )


def ask(session: Session, groups: Sequence[str], *, balancers: bool) -> Answer:
    """Look at everything once, and ask about changes of these groups (ARNs) and of load balancers.

    `balancers`: whether instances will be taken out of these. Expired credentials raise.
    """
    identity = str(session.call("sts", "get_caller_identity")["Arn"])
    lacking = list(_refused(session, _group_reads()))
    writes: dict[str, tuple[str, ...]] = dict.fromkeys(groups, _GROUP_WRITES)
    account = identity.split(":")[4]
    for kind in _BALANCING if balancers else ():
        refused, found = _balanced(session, kind, account)
        lacking += refused
        writes |= dict.fromkeys(found, kind.writes)
    try:
        lacking += [
            refusal for arn, actions in writes.items() for refusal in _simulated(session, identity, arn, actions)
        ]
    except CredentialsExpiredError:
        raise
    except (AccessDeniedError, AwsError) as error:
        return Answer(identity, tuple(lacking), f"what {identity} may change in AWS cannot be checked: {error}")
    return Answer(identity, tuple(lacking))


def require(session: Session, groups: Sequence[str], *, balancers: bool) -> None:
    """AccessDeniedError naming what is lacking."""
    if told := str(ask(session, groups, balancers=balancers)):
        raise AccessDeniedError(f"{told}. Nothing was touched")


def _group_reads() -> Mapping[str, Callable[[Session], Any]]:
    return {
        "autoscaling:DescribeAutoScalingGroups": lambda session: session.call(
            "autoscaling", "describe_auto_scaling_groups", MaxRecords=1
        ),
        "autoscaling:DescribeScalingActivities": lambda session: session.call(
            "autoscaling", "describe_scaling_activities", MaxRecords=1
        ),
        "ec2:DescribeInstances": lambda session: session.call("ec2", "describe_instances", MaxResults=5),
    }


def _balanced(session: Session, kind: _Balancing, account: str) -> tuple[list[str], list[str]]:
    """What is refused of reading load balancers of a kind, and the ARN of one of them, if there are any."""
    try:
        found = kind.look.instance_groups(session)
    except CredentialsExpiredError:
        raise
    except AccessDeniedError:
        return [kind.listing], []
    if not found:
        return [], []
    one = found[0].arn
    reads = {
        kind.health: lambda session: kind.look.registered(session, one),
        kind.delay: lambda session: kind.look.deregistration_delay(session, one),
    }
    return list(_refused(session, reads)), [one if one.startswith("arn:") else _arn(session.region, account, one)]


def _arn(region: str, account: str, name: str) -> str:
    """Of a Classic Load Balancer, which its own API calls by name."""
    return f"arn:{partition(region)}:elasticloadbalancing:{region}:{account}:loadbalancer/{name}"


def _refused(session: Session, reads: Mapping[str, Callable[[Session], Any]]) -> Iterator[str]:
    for action, read in reads.items():
        try:
            read(session)
        except CredentialsExpiredError:
            raise
        except AccessDeniedError:
            yield action


def _simulated(session: Session, identity: str, resource: str, actions: Sequence[str]) -> Iterator[str]:
    answer = session.call(
        "iam",
        "simulate_principal_policy",
        PolicySourceArn=principal(identity),
        ActionNames=list(actions),
        ResourceArns=[resource],
    )
    for result in answer["EvaluationResults"]:
        # A condition on something that the simulator does not know says nothing about the call.
        if result["EvalDecision"] != "allowed" and not result.get("MissingContextValues"):
            yield f"{result['EvalActionName']} on {resource}"


def principal(identity: str) -> str:
    """The user or role behind the ARN of a caller: a role's session is not known to IAM."""
    head, kind, name = identity.partition(":assumed-role/")
    return f"{head.replace(':sts:', ':iam:')}:role/{name.partition('/')[0]}" if kind else identity
