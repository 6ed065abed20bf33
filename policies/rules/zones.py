"""Where nodes run: in more than one zone, and not moved about behind Kubernetes' back."""

from collections.abc import Iterator, Mapping
from typing import Any

from .rule import UNKNOWN, Level, Severity
from .subjects import Answer, NotYet, group_rule, group_tags
from .values import strings

Props = Mapping[str, Any]
AUTOSCALER = "k8s.io/cluster-autoscaler/"


def check_spread(props: Props, _config: Props, pool: Props) -> Iterator[Answer]:
    """At least two subnets or zones, unless the pool has a group for each zone."""
    if pool.get("zones") == "each":
        return
    places = [strings(props.get(key)) for key in ("vpcZoneIdentifiers", "availabilityZones")]
    if UNKNOWN in places:
        yield NotYet("its subnets are unknown before the update")
    elif max(len(set(place)) for place in places) < 2:
        yield "all its nodes are in one subnet: when that zone fails, the pool is gone."


def check_rebalance(props: Props, _config: Props, _pool: Props) -> Iterator[Answer]:
    """AZRebalance is suspended in groups that the cluster autoscaler manages."""
    tags, suspended = group_tags(props), strings(props.get("suspendedProcesses"))
    if tags is UNKNOWN or not any(key.startswith(AUTOSCALER) for key in tags):
        return
    if suspended is UNKNOWN:
        yield NotYet("suspendedProcesses are unknown before the update")
    elif "AZRebalance" not in suspended:
        yield "the cluster autoscaler manages it, and AZRebalance may end its instances without draining them."


RULES = (
    group_rule(
        check_spread,
        name="nodepools-group-zones",
        description="A group spans at least two zones, or the pool has one for each.",
        why="A zone that fails takes the whole pool with it.",
        fix="List subnets of two zones or more, or set zones: each for zonal volumes.",
        example="subnetIds: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]",
        link="https://docs.aws.amazon.com/autoscaling/ec2/userguide/auto-scaling-benefits.html",
        level=Level.ADVISORY,
        severity=Severity.MEDIUM,
    ),
    group_rule(
        check_rebalance,
        name="nodepools-group-zone-rebalance",
        description="AZRebalance is suspended where the cluster autoscaler manages the group.",
        why="To even out zones, Auto Scaling ends instances that Kubernetes has pods on; budgets are not asked.",
        fix="Add AZRebalance to suspendedProcesses.",
        example='suspended_processes=["AZRebalance"]',
        link="https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html",
        level=Level.ADVISORY,
        severity=Severity.MEDIUM,
    ),
)
