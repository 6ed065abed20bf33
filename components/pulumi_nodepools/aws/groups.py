"""Auto Scaling groups as drains and gates see them: sizes, instances, freezing, why launches failed.

What a freeze changed is returned, not remembered: the caller records it in the cluster before the calls are made.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.names import REFUSED_TAG

FROZEN_PROCESSES = (
    "Launch",
    "AZRebalance",
    "ReplaceUnhealthy",
    "AlarmNotification",
    "ScheduledActions",
    "InstanceRefresh",
)
"""Whatever would add, remove or replace an instance during a drain; not Terminate, which the deletion needs."""
GONE_STATES = frozenset({"terminated", "shutting-down", "absent"})
_CHUNK = 50


@dataclass(frozen=True)
class Instance:
    """One member of a group. `lifecycle` is Auto Scaling's word: Pending:Wait, InService, Terminating…"""

    id: str
    az: str
    lifecycle: str
    health: str
    template_version: str = ""
    """Of the launch template that it was started from; empty if it was none."""
    protected: bool = False
    """From scale-in: a group does not choose it when it shrinks."""

    @property
    def leaving(self) -> bool:
        """On its way out of the group: nothing is launched or terminated in its place."""
        return self.lifecycle.startswith(("Terminat", "Detach"))


@dataclass(frozen=True)
class Machine:
    """What EC2 says that an instance is made of; empty where it does not know."""

    image: str = ""
    instance_type: str = ""


@dataclass(frozen=True)
class GroupView:
    """A group as described just now."""

    name: str
    arn: str
    min: int
    max: int
    desired: int
    suspended: tuple[str, ...]
    instances: tuple[Instance, ...]
    zones: tuple[str, ...] = ()
    """Where it may have instances."""


@dataclass(frozen=True)
class FailedLaunch:
    """A launch that Auto Scaling gave up on. `instance` is empty if none was ever started."""

    activity: str
    instance: str
    reason: str


def zones_of(views: Iterable[GroupView]) -> Counter[str]:
    """How many instances groups have in each zone, without those on their way out."""
    return Counter(one.az for view in views for one in view.instances if not one.leaving)


def describe(session: Session, names: Sequence[str]) -> dict[str, GroupView]:
    """The groups that exist among `names`; a name that is missing in the answer does not exist."""
    found: dict[str, GroupView] = {}
    for chunk in _chunks(names):
        pages = session.pages(
            "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=chunk
        )
        found.update((raw["AutoScalingGroupName"], _group(raw)) for raw in pages)
    return found


def freeze(session: Session, group: GroupView) -> None:
    """Stop whatever would change the group's members, and pin it at the size it has then. Harmless to repeat."""
    session.call(
        "autoscaling",
        "suspend_processes",
        AutoScalingGroupName=group.name,
        ScalingProcesses=list(FROZEN_PROCESSES),
    )
    # Not as it was seen before: a maximum below the size would make AWS terminate what was not drained.
    live = describe(session, [group.name]).get(group.name, group).desired
    resize(session, group.name, minimum=live, maximum=live)


def thaw(session: Session, name: str, *, minimum: int, maximum: int, processes: Iterable[str]) -> None:
    """Give a group its own limits back and resume only the processes that we suspended."""
    resize(session, name, minimum=minimum, maximum=maximum)
    resume(session, name, processes)


def resize(session: Session, name: str, *, minimum: int, maximum: int) -> None:
    """Set both limits of a group; its desired capacity is left alone."""
    session.call(
        "autoscaling", "update_auto_scaling_group", AutoScalingGroupName=name, MinSize=minimum, MaxSize=maximum
    )


def scale(session: Session, name: str, desired: int) -> None:
    """Set the desired capacity of a group, within its limits."""
    session.call(
        "autoscaling",
        "set_desired_capacity",
        AutoScalingGroupName=name,
        DesiredCapacity=desired,
        HonorCooldown=False,
    )


def terminate(session: Session, instance: str) -> None:
    """Terminate exactly this member, protected from scale-in or not, and let its group be smaller by one."""
    session.call(
        "autoscaling",
        "terminate_instance_in_auto_scaling_group",
        InstanceId=instance,
        ShouldDecrementDesiredCapacity=True,
    )


def suspend_launch(session: Session, name: str) -> None:
    """Stop the group from starting instances."""
    session.call("autoscaling", "suspend_processes", AutoScalingGroupName=name, ScalingProcesses=["Launch"])


def resume(session: Session, name: str, processes: Iterable[str]) -> None:
    """Resume the processes named. None named means none: to AWS an empty list would mean all of them."""
    wanted = list(processes)
    if wanted:
        session.call("autoscaling", "resume_processes", AutoScalingGroupName=name, ScalingProcesses=wanted)


def activities(session: Session, name: str, limit: int = 100) -> list[FailedLaunch]:
    """Launches of the group that failed or were abandoned, newest first, among its last `limit` activities."""
    answer = session.call("autoscaling", "describe_scaling_activities", AutoScalingGroupName=name, MaxRecords=limit)
    return [
        FailedLaunch(raw["ActivityId"], _instance_in(raw), _reason(raw))
        for raw in answer.get("Activities", [])
        if raw.get("StatusCode") in {"Failed", "Cancelled"} and "launch" in raw.get("Description", "").lower()
    ]


def instance_states(session: Session, ids: Sequence[str]) -> dict[str, str]:
    """EC2's state of each instance; `absent` for those that EC2 no longer knows."""
    states = dict.fromkeys(ids, "absent")
    states.update((raw["InstanceId"], raw["State"]["Name"]) for raw in _instances(session, ids))
    return states


def machines(session: Session, ids: Sequence[str]) -> dict[str, Machine]:
    """What each instance is made of; those that EC2 does not know are left out."""
    return {
        raw["InstanceId"]: Machine(raw.get("ImageId", ""), raw.get("InstanceType", ""))
        for raw in _instances(session, ids)
    }


def explained(session: Session, launches: Sequence[FailedLaunch]) -> list[FailedLaunch]:
    """The same launches, with the node's own reason where its validator left one (tag `nodepools.dev/refused`)."""
    reasons = {
        raw["InstanceId"]: tag["Value"]
        for raw in _instances(session, [launch.instance for launch in launches if launch.instance])
        for tag in raw.get("Tags", [])
        if tag["Key"] == REFUSED_TAG
    }
    return [replace(launch, reason=reasons.get(launch.instance, launch.reason)) for launch in launches]


def _instances(session: Session, ids: Sequence[str]) -> Iterable[dict[str, Any]]:
    for chunk in _chunks(ids):
        # A filter instead of InstanceIds: one forgotten instance would make the whole call fail.
        filters = [{"Name": "instance-id", "Values": chunk}]
        for reservation in session.pages("ec2", "describe_instances", "Reservations", Filters=filters):
            yield from reservation["Instances"]


def _chunks(values: Sequence[str]) -> Iterable[list[str]]:
    return (list(values[start : start + _CHUNK]) for start in range(0, len(values), _CHUNK))


def _group(raw: dict[str, Any]) -> GroupView:
    return GroupView(
        name=raw["AutoScalingGroupName"],
        arn=raw["AutoScalingGroupARN"],
        min=raw["MinSize"],
        max=raw["MaxSize"],
        desired=raw["DesiredCapacity"],
        suspended=tuple(sorted(entry["ProcessName"] for entry in raw.get("SuspendedProcesses", []))),
        instances=tuple(
            Instance(
                entry["InstanceId"],
                entry.get("AvailabilityZone", ""),
                entry["LifecycleState"],
                entry.get("HealthStatus", ""),
                template_version=str((entry.get("LaunchTemplate") or {}).get("Version") or ""),
                protected=bool(entry.get("ProtectedFromScaleIn")),
            )
            for entry in raw.get("Instances", [])
        ),
        zones=tuple(sorted(raw.get("AvailabilityZones", []))),
    )


def _instance_in(activity: dict[str, Any]) -> str:
    words = activity.get("Description", "").replace(",", " ").split()
    return next((word.rstrip(".") for word in words if word.startswith("i-")), "")


def _reason(activity: dict[str, Any]) -> str:
    return str(activity.get("StatusMessage") or activity.get("Cause") or "no reason given")
