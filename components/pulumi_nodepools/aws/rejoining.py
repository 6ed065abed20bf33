"""The way back: instances are registered again where a drain took them out.

Where that was is written on the node before anything is taken out, as one entry per registration. Load balancers that
exist no more are left out.
"""

from collections.abc import Mapping, Sequence

from pulumi_nodepools.aws import classic, targets
from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.aws.targets import Target, TargetGroup


def entry(group: TargetGroup, target: Target) -> str:
    """One registration in text: the group's ARN or the load balancer's name, and the port."""
    return f"{group.arn} {target.port}"


def rejoin(session: Session, entries: Mapping[str, Sequence[str]]) -> int:
    """Register instances as their entries say, where they are not; how many registrations that took."""
    wanted: dict[str, list[Target]] = {}
    for instance, texts in entries.items():
        for arn, port in (text.rsplit(" ", 1) for text in texts):
            wanted.setdefault(arn, []).append(Target(instance, int(port), ""))
    number = 0
    for api in (targets, classic) if wanted else ():
        for group in api.instance_groups(session):
            there = _there(api.registered(session, group.arn)) if group.arn in wanted else set()
            missing = [each for each in wanted.get(group.arn, ()) if (each.instance, each.port) not in there]
            if missing:
                api.register(session, group.arn, missing)
                number += len(missing)
    return number


def _there(registered: Sequence[Target]) -> set[tuple[str, int]]:
    return {(target.instance, target.port) for target in registered if target.state != "draining"}
