"""Target groups as drains see them: which instances are registered where, how they are, taking them out and in.

Only groups of the type `instance`: targets of the type `ip` are pods, which leave with their endpoints.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pulumi_nodepools.aws.session import Session

_NETWORK = frozenset({"TCP", "UDP", "TLS", "TCP_UDP", "QUIC", "TCP_QUIC"})
_NODE_PORTS = range(30000, 32768)
_DELAY = "deregistration_delay.timeout_seconds"
SERVICE = "elbv2"


@dataclass(frozen=True)
class TargetGroup:
    """`network` if a Network Load Balancer uses it: those send new connections for a while after deregistration.

    `local` if only nodes with a pod of the service pass its health checks (externalTrafficPolicy Local): a new node is
    healthy only once a pod has moved there. `classic` if it is a Classic Load Balancer (aws.classic), whose ARN here is
    its name.
    """

    arn: str
    name: str
    network: bool
    local: bool = False
    classic: bool = False

    def __str__(self) -> str:
        return f"{'load balancer' if self.classic else 'target group'} {self.name}"


@dataclass(frozen=True)
class Target:
    """One registered port of an instance. `state` is AWS's word: initial, healthy, unhealthy, draining, unused…"""

    instance: str
    port: int
    state: str


def instance_groups(session: Session) -> list[TargetGroup]:
    """Every target group of the region whose targets are instances."""
    return [
        TargetGroup(raw["TargetGroupArn"], raw["TargetGroupName"], raw.get("Protocol") in _NETWORK, _is_local(raw))
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


def register(session: Session, arn: str, targets: Iterable[Target]) -> None:
    """Put targets in."""
    session.call(SERVICE, "register_targets", TargetGroupArn=arn, Targets=[_named(target) for target in targets])


def _is_local(raw: Any) -> bool:
    """Kubernetes answers such checks on a node port of their own, the service's healthCheckNodePort."""
    port = str(raw.get("HealthCheckPort") or "")
    return port.isdigit() and int(port) in _NODE_PORTS and int(port) != raw.get("Port")


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
