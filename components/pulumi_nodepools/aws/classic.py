"""Classic Load Balancers in the words of aws.targets: what services without an annotation get from the cloud provider.

One is called by its name; its instances have no port of their own.
"""

from collections.abc import Iterable
from typing import Any

from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.aws.targets import Target, TargetGroup

SERVICE = "elb"
_LEAVING = "deregistration"
"""In the description of an instance that is InService only until its connections have ended."""


def instance_groups(session: Session) -> list[TargetGroup]:
    """Every Classic Load Balancer of the region."""
    found, marker = [], dict[str, str]()
    while True:
        page = session.call(SERVICE, "describe_load_balancers", **marker)
        found += [raw["LoadBalancerName"] for raw in page.get("LoadBalancerDescriptions", [])]
        if not page.get("NextMarker"):
            return [TargetGroup(name, name, network=False, classic=True) for name in found]
        marker = {"Marker": page["NextMarker"]}


def registered(session: Session, name: str) -> list[Target]:
    """Its instances, those that are on their way out included."""
    answer = session.call(SERVICE, "describe_instance_health", LoadBalancerName=name)
    return [Target(raw["InstanceId"], 0, _state(raw)) for raw in answer.get("InstanceStates", [])]


def deregistration_delay(session: Session, name: str) -> float:
    """Seconds that open connections may go on after deregistration; 0 without connection draining."""
    answer = session.call(SERVICE, "describe_load_balancer_attributes", LoadBalancerName=name)
    draining = answer["LoadBalancerAttributes"].get("ConnectionDraining") or {}
    return float(draining.get("Timeout") or 0) if draining.get("Enabled") else 0.0


def deregister(session: Session, name: str, targets: Iterable[Target]) -> None:
    """Take instances out."""
    _change(session, "deregister_instances_from_load_balancer", name, targets)


def register(session: Session, name: str, targets: Iterable[Target]) -> None:
    """Put instances in."""
    _change(session, "register_instances_with_load_balancer", name, targets)


def _change(session: Session, operation: str, name: str, targets: Iterable[Target]) -> None:
    instances = [{"InstanceId": target.instance} for target in targets]
    session.call(SERVICE, operation, LoadBalancerName=name, Instances=instances)


def _state(raw: Any) -> str:
    """AWS's word for a target in the same state."""
    text = str(raw.get("Description") or "")
    if _LEAVING in text:
        return "draining"
    if raw["State"] == "InService":
        return "healthy"
    return "initial" if raw.get("ReasonCode") == "ELB" else "unhealthy"
