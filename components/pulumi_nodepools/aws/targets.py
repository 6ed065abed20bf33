"""Target groups as drains see them: which instances are registered where, how they are, taking them out and back.

Only groups of the type `instance`: targets of the type `ip` are pods, which leave with their endpoints.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi_nodepools.aws.session import Session

_NETWORK = frozenset({"TCP", "UDP", "TLS", "TCP_UDP", "QUIC", "TCP_QUIC"})
_DELAY = "deregistration_delay.timeout_seconds"
SERVICE = "elbv2"


@dataclass(frozen=True)
class TargetGroup:
    """`network` if a Network Load Balancer uses it: those send new connections for a while after deregistration."""

    arn: str
    name: str
    network: bool


@dataclass(frozen=True)
class Target:
    """One registered port of an instance. `state` is AWS's word: initial, healthy, unhealthy, draining, unused…"""

    instance: str
    port: int
    state: str


def instance_groups(session: Session) -> list[TargetGroup]:
    """Every target group of the region whose targets are instances."""
    return [
        TargetGroup(raw["TargetGroupArn"], raw["TargetGroupName"], raw.get("Protocol") in _NETWORK)
        for raw in _pages(session, "describe_target_groups", "TargetGroups")
        if raw.get("TargetType", "instance") == "instance"
    ]


def registered(session: Session, arn: str) -> list[Target]:
    """The group's targets, those that are on their way out included."""
    answer = session.call(SERVICE, "describe_target_health", TargetGroupArn=arn)
    return [
        Target(raw["Target"]["Id"], int(raw["Target"].get("Port") or 0), raw["TargetHealth"]["State"])
        for raw in answer.get("TargetHealthDescriptions", [])
    ]


def deregistration_delay(session: Session, arn: str) -> float:
    """Seconds that the group lets open connections go on after deregistration."""
    answer = session.call(SERVICE, "describe_target_group_attributes", TargetGroupArn=arn)
    values = {entry["Key"]: entry.get("Value") for entry in answer.get("Attributes", [])}
    return float(values.get(_DELAY) or 0)


def deregister(session: Session, arn: str, targets: Iterable[Target]) -> None:
    """Take targets out; AWS lets their open connections end first."""
    session.call(SERVICE, "deregister_targets", TargetGroupArn=arn, Targets=[_named(target) for target in targets])


def rejoin(session: Session, groups: Sequence[str]) -> int:
    """Register the in-service instances of Auto Scaling groups again where these groups are attached; how many.

    Auto Scaling itself registers an instance only when it is launched.
    """
    pages = session.pages(
        "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=list(groups)
    )
    number = 0
    for raw in pages if groups else ():
        serving = {entry["InstanceId"] for entry in raw.get("Instances", []) if entry["LifecycleState"] == "InService"}
        for arn in raw.get("TargetGroupARNs", []):
            there = {target.instance for target in registered(session, arn) if target.state != "draining"}
            missing = [{"Id": instance} for instance in sorted(serving - there)]
            if missing:
                session.call(SERVICE, "register_targets", TargetGroupArn=arn, Targets=missing)
                number += len(missing)
    return number


def _named(target: Target) -> dict[str, Any]:
    return {"Id": target.instance, "Port": target.port} if target.port else {"Id": target.instance}


def _pages(session: Session, operation: str, key: str) -> Iterator[Any]:
    marker: dict[str, str] = {}
    while True:
        page = session.call(SERVICE, operation, **marker)
        yield from page.get(key, [])
        if not page.get("NextMarker"):
            return
        marker = {"Marker": page["NextMarker"]}
