"""What of a group would delay its drain or its end, or work against them. Only reads."""

from collections.abc import Callable, Iterable, Iterator

from pulumi_nodepools.aws.groups import GroupView
from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.drain.preflight import Finding
from pulumi_nodepools.errors import AccessDeniedError, CredentialsExpiredError

_TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
_RUNNING = frozenset({"Pending", "InProgress", "Cancelling", "RollbackInProgress", "Baking"})


def of_groups(session: Session, groups: Iterable[GroupView]) -> list[Finding]:
    """Findings about groups that are to be drained; what may not be looked at is said, and holds nothing."""
    return [
        finding
        for group in groups
        for look in (_protected, _hooks, _refreshes)
        for finding in _allowed(session, group, look)
    ]


def _allowed(
    session: Session, group: GroupView, look: Callable[[Session, GroupView], Iterator[Finding]]
) -> list[Finding]:
    try:
        return list(look(session, group))
    except CredentialsExpiredError:
        raise
    except AccessDeniedError as denied:
        message = f"part of it was not looked at: {denied}"
        return [Finding("info", "not-checked", _named(group), message, "attach docs/iam/preview.json")]


def _protected(_session: Session, group: GroupView) -> Iterator[Finding]:
    protected = sum(instance.protected for instance in group.instances)
    if protected:
        message = f"{protected} of its instances are protected from scale-in; with the group that ends, and they go too"
        yield Finding(
            "info",
            "scale-in-protection",
            _named(group),
            message,
            "nothing, unless a program protects them while it works: see that it is drained like everything else",
            numbers={"protected": protected},
        )


def _hooks(session: Session, group: GroupView) -> Iterator[Finding]:
    answer = session.call("autoscaling", "describe_lifecycle_hooks", AutoScalingGroupName=group.name)
    for hook in answer["LifecycleHooks"]:
        if hook.get("LifecycleTransition") == _TERMINATING:
            seconds = int(hook.get("HeartbeatTimeout") or 3600)
            yield Finding(
                "warning",
                "termination-hook",
                _named(group),
                f"its lifecycle hook {hook['LifecycleHookName']} holds each instance that ends, for up to {seconds} s "
                "unless somebody completes it",
                "see that whoever completes it runs, or shorten its heartbeat timeout",
                numbers={"seconds": seconds},
            )


def _refreshes(session: Session, group: GroupView) -> Iterator[Finding]:
    answer = session.call("autoscaling", "describe_instance_refreshes", AutoScalingGroupName=group.name)
    for refresh in answer["InstanceRefreshes"]:
        if refresh.get("Status") in _RUNNING:
            done = int(refresh.get("PercentageComplete") or 0)
            yield Finding(
                "warning",
                "instance-refresh",
                _named(group),
                f"instance refresh {refresh['InstanceRefreshId']} is {refresh['Status']} ({done} %): it replaces the "
                "instances that are to be drained",
                "cancel it (`aws autoscaling cancel-instance-refresh`), or wait until it is done",
                numbers={"percent": done},
            )


def _named(group: GroupView) -> str:
    return f"group {group.name}"
