"""The Auto Scaling API in front of `groups`: what moto's own API leaves out or answers differently from AWS.

Bounds of capacity, hooks given at creation, lifecycle actions, activities, deletion that refuses, unknown names.
Everything else is moto's.
"""

import importlib
from collections import OrderedDict
from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow

from sandbox.aws.balancers import TargetGroup
from sandbox.aws.groups import Group, Member, models

responses: Any = importlib.import_module("moto.autoscaling.responses")
urls: Any = importlib.import_module("moto.autoscaling.urls")
PROCESSES = (
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "Launch",
    "ReplaceUnhealthy",
    "ScheduledActions",
    "Terminate",
)


class _Groups(OrderedDict[str, Group]):
    """An unknown name is the caller's mistake, not a crash of the server."""

    def __missing__(self, name: str) -> Group:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")


class Backend(models.AutoScalingBackend):  # type: ignore[misc]
    """moto's backend over our groups."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.autoscaling_groups: _Groups = _Groups()

    def member(self, instance_id: str, group_name: str | None = None) -> Member:
        for group in self.autoscaling_groups.values():
            for member in group.instance_states:
                if member.instance_id == instance_id and group_name in (None, group.name):
                    return member
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")

    def forget_targets(self, group: Group, instance_ids: list[str]) -> None:
        """Take instances out of the group's target groups; a target group that is gone already does not matter."""
        for target_group in self._target_groups(group):
            target_group.deregister([{"Id": each} for each in instance_ids])

    def drains(self, group: Group, instance_id: str) -> bool:
        """Whether one of the group's target groups still lets an instance's connections end."""
        return any(target_group.drains(instance_id) for target_group in self._target_groups(group))

    def add_targets(self, group: Group, instance_ids: list[str]) -> None:
        """Once, when an instance enters service; what somebody takes out later stays out."""
        for target_group in [] if group.suspended("AddToLoadBalancer") else self._target_groups(group):
            target_group.register([{"Id": each, "Port": target_group.port} for each in instance_ids])

    def update_attached_target_groups(self, group_name: str) -> None:
        """Target groups that are attached later get all instances in service."""
        group = self.autoscaling_groups.get(group_name)
        if group is not None:
            self.add_targets(group, [member.instance_id for member in group.active_instances()])

    def _target_groups(self, group: Group) -> list[TargetGroup]:
        known = self.elbv2_backend.target_groups
        return [known[arn] for arn in group.target_group_arns if arn in known]

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """Instances ended behind the group's back stay its members, unhealthy, until the health check replaces them."""
        for group in self.autoscaling_groups.values():
            for member in group.instance_states:
                if member.instance_id in instance_ids:
                    member.health_status = "Unhealthy"

    def terminate_instance(self, instance_id: str, should_decrement: bool) -> Any:
        member = self.member(instance_id)
        group: Group = member.auto_scaling_group
        if should_decrement:
            if (group.desired_capacity or 0) <= (group.min_size or 0):
                raise ValidationError(
                    f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without "
                    "replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity "
                    "flag to false or lower group's min size."
                )
            group.desired_capacity = (group.desired_capacity or 0) - 1
        activity = group.terminate(member, f"instance {instance_id} was taken out of service by a user request")
        group.reconcile()
        return activity

    def suspend_processes(self, group_name: str, scaling_processes: list[str]) -> None:
        group, chosen = self._processes(group_name, scaling_processes)
        kept = [entry["ProcessName"] for entry in group.suspended_processes]
        group.suspended_processes = sorted({*kept, *chosen})

    def resume_processes(self, group_name: str, scaling_processes: list[str]) -> None:
        group, chosen = self._processes(group_name, scaling_processes)
        kept = [entry["ProcessName"] for entry in group.suspended_processes]
        group.suspended_processes = sorted(set(kept) - set(chosen))
        group.reconcile()

    def _processes(self, group_name: str, names: list[str]) -> tuple[Group, list[str]]:
        unknown = [name for name in names if name not in PROCESSES]
        if unknown:
            raise ValidationError(f"Invalid process type: {unknown[0]}. Valid types are: {', '.join(PROCESSES)}")
        return self.autoscaling_groups[group_name], names or list(PROCESSES)


# moto finds the URL table of a backend by the module name of its class.
Backend.__module__ = models.__name__


def _check_desired(desired: int, low: int, high: int) -> None:
    if not low <= desired <= high:
        raise ValidationError(
            f"Desired capacity:{desired} must be between the specified min size:{low} and max size:{high}"
        )


class Response(responses.AutoScalingResponse):  # type: ignore[misc]
    """Actions that differ from moto's; every other one is inherited."""

    def _group(self) -> Group:
        group: Group = self.autoscaling_backend.autoscaling_groups[self._get_param("AutoScalingGroupName")]
        return group

    def create_auto_scaling_group(self) -> ActionResult:
        name = self._get_param("AutoScalingGroupName")
        if name in self.autoscaling_backend.autoscaling_groups:
            raise AutoscalingClientError(
                "AlreadyExists",
                f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
            )
        low, high = self._get_int_param("MinSize"), self._get_int_param("MaxSize")
        if low > high:
            raise ValidationError(f"Max bound, {high}, must be greater than or equal to min bound, {low}")
        desired = self._get_int_param("DesiredCapacity")
        _check_desired(low if desired is None else desired, low, high)
        for hook in self._get_param("LifecycleHookSpecificationList", []):
            self.autoscaling_backend.create_lifecycle_hook(
                name=hook["LifecycleHookName"],
                as_name=name,
                transition=hook["LifecycleTransition"],
                timeout=int(hook["HeartbeatTimeout"]) if hook.get("HeartbeatTimeout") else None,
                result=hook.get("DefaultResult"),
            )
        result: ActionResult = super().create_auto_scaling_group()
        # moto takes a grace period of 0 for none given; the service's own default is 0 as well.
        self._group().health_check_grace_period = self._get_int_param("HealthCheckGracePeriod") or 0
        self._group().reconcile()
        return result

    def update_auto_scaling_group(self) -> ActionResult:
        group = self._group()
        low = self._get_int_param("MinSize", group.min_size)
        high = self._get_int_param("MaxSize", group.max_size)
        desired = self._get_int_param("DesiredCapacity")
        if low > high:
            raise ValidationError(f"Max bound, {high}, must be greater than or equal to min bound, {low}")
        kept = min(max(group.desired_capacity or 0, low), high)
        if desired is None:
            group.desired_capacity = kept
        else:
            _check_desired(desired, low, high)
        result: ActionResult = super().update_auto_scaling_group()
        if desired is None:  # moto compares with the instances it has, we with the capacity wanted
            group.desired_capacity = kept
        group.reconcile()
        return result

    def set_desired_capacity(self) -> ActionResult:
        group, wanted = self._group(), self._get_int_param("DesiredCapacity")
        for bound, value, wrong in (
            ("above max", group.max_size, wanted > group.max_size),
            ("below min", group.min_size, wanted < group.min_size),
        ):
            if wrong:
                raise ValidationError(
                    f"New SetDesiredCapacity value {wanted} is {bound} value {value} for the AutoScalingGroup."
                )
        result: ActionResult = super().set_desired_capacity()
        return result

    def delete_auto_scaling_group(self) -> ActionResult:
        group = self._group()
        if group.instance_states and not self._get_bool_param("ForceDelete", False):
            raise AutoscalingClientError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
                "still in the group.",
            )
        backend = self.autoscaling_backend
        instance_ids = [member.instance_id for member in group.instance_states]
        if instance_ids:
            backend.forget_targets(group, instance_ids)
            group.instance_states = []
            backend.ec2_backend.terminate_instances(instance_ids)
        del backend.autoscaling_groups[group.name]
        for hook in backend.describe_lifecycle_hooks(group.name):
            backend.delete_lifecycle_hook(group.name, hook.name)
        return EmptyResult()

    def describe_scaling_activities(self) -> ActionResult:
        name = self._get_param("AutoScalingGroupName")
        groups = [self._group()] if name else list(self.autoscaling_backend.autoscaling_groups.values())
        wanted = self._get_param("ActivityIds", [])
        activities = [
            each for group in groups for each in group.activities if not wanted or each["ActivityId"] in wanted
        ]
        return ActionResult({"Activities": activities[: self._get_int_param("MaxRecords") or 100]})

    def describe_lifecycle_hooks(self) -> ActionResult:
        """AWS leaves out what was not given; moto invents a role and a queue."""
        hooks = self.autoscaling_backend.describe_lifecycle_hooks(
            as_name=self._get_param("AutoScalingGroupName"),
            lifecycle_hook_names=self._get_param("LifecycleHookNames", []),
        )
        shown = [
            {
                "LifecycleHookName": hook.name,
                "AutoScalingGroupName": hook.auto_scaling_group_name,
                "LifecycleTransition": hook.lifecycle_transition,
                "HeartbeatTimeout": hook.heartbeat_timeout,
                "GlobalTimeout": min(172800, 100 * hook.heartbeat_timeout),
                "DefaultResult": hook.default_result,
            }
            for hook in hooks
        ]
        return ActionResult({"LifecycleHooks": shown})

    def describe_instance_refreshes(self) -> ActionResult:
        """There never is one: they are not imitated."""
        self._group()
        return ActionResult({"InstanceRefreshes": []})

    def _waiting(self) -> tuple[Group, Member, str]:
        """The group, member and hook that a lifecycle call means, by instance or by token."""
        group, hook = self._group(), self._get_param("LifecycleHookName")
        instance_id, token = self._get_param("InstanceId"), self._get_param("LifecycleActionToken")
        for member in group.instance_states:
            wait = member.waits.get(hook)
            if wait is not None and (member.instance_id == instance_id or wait.token == token):
                return group, member, hook
        what = f"instance ID {instance_id}" if instance_id else f"token {token}"
        raise ValidationError(f"No active Lifecycle Action found with {what}")

    def complete_lifecycle_action(self) -> ActionResult:
        group, member, hook = self._waiting()
        result = self._get_param("LifecycleActionResult")
        if result not in ("CONTINUE", "ABANDON"):
            raise ValidationError(f"Lifecycle action result {result!r} is not one of CONTINUE, ABANDON")
        group.complete(member, hook, result, f"Lifecycle Action Completed with {result} Result")
        return EmptyResult()

    def record_lifecycle_action_heartbeat(self) -> ActionResult:
        _, member, hook = self._waiting()
        member.waits[hook].extend()
        return EmptyResult()

    def terminate_instance_in_auto_scaling_group(self) -> ActionResult:
        activity = self.autoscaling_backend.terminate_instance(
            self._get_param("InstanceId"), self._get_bool_param("ShouldDecrementDesiredCapacity", False)
        )
        return ActionResult({"Activity": {"StartTime": utcnow(), **activity}})


def install() -> None:
    """Put our group, member, backend and API in moto's place; before the first request."""
    models.FakeAutoScalingGroup = Group
    models.InstanceState = Member
    models.autoscaling_backends.backend = Backend
    urls.url_paths = {"{0}/$": Response.dispatch}
