"""aws:autoscaling/group:Group as the real provider manages it; inputs that would change nothing here are refused."""

import time
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from pulumi_nodepools.errors import ConfigError
from sandbox.plugins.aws_cloud import Cloud, code_of, doing
from sandbox.plugins.aws_group_requests import SETS, SIMPLE, canonical, hook, sizes, tag, wait_seconds
from sandbox.plugins.host import Context, Inputs, Kind, PluginError, Props
from sandbox.plugins.values import UNKNOWN

POLL = 0.5
DELETE_TIMEOUT = 600.0
ONLY_OURS = ("initialLifecycleHooks", "waitForCapacityTimeout", "forceDelete", "ignoreFailedScalingActivities")
"""Inputs that AWS does not keep: a refresh carries them over."""


class Group(Kind):
    """An Auto Scaling group over a launch template."""

    inputs: ClassVar[Inputs] = {
        "name": str,
        "namePrefix": str,
        "minSize": int,
        "maxSize": int,
        "desiredCapacity": int,
        "vpcZoneIdentifiers": [str],
        "launchTemplate": {"id": str, "name": str, "version": str},
        "healthCheckType": str,
        "healthCheckGracePeriod": int,
        "defaultCooldown": int,
        "defaultInstanceWarmup": int,
        "protectFromScaleIn": bool,
        "capacityRebalance": bool,
        "terminationPolicies": [str],
        "targetGroupArns": [str],
        "suspendedProcesses": [str],
        "tags": [{"key": str, "value": str, "propagateAtLaunch": bool}],
        "initialLifecycleHooks": [
            {
                "name": str,
                "lifecycleTransition": str,
                "defaultResult": str,
                "heartbeatTimeout": int,
                "notificationMetadata": str,
            }
        ],
        "waitForCapacityTimeout": str,
        "forceDelete": bool,
        "ignoreFailedScalingActivities": bool,
        "region": str,
    }
    required = ("minSize", "maxSize", "launchTemplate")
    force_new = ("name", "namePrefix", "region")
    optional_computed = (
        *("name", "desiredCapacity", "vpcZoneIdentifiers", "healthCheckType", "defaultCooldown"),
        *("targetGroupArns", "terminationPolicies", "defaultInstanceWarmup", "region"),
    )
    defaults: ClassVar[Props] = {"waitForCapacityTimeout": "10m", "healthCheckGracePeriod": 300, "forceDelete": False}
    computed = ("arn", "availabilityZones", "desiredCapacity", "healthCheckType", "defaultCooldown", "region")
    auto_name = "name"

    def __init__(self, cloud: Cloud | None) -> None:
        self._cloud = cloud

    @property
    def _api(self) -> Any:
        assert self._cloud is not None
        return self._cloud.client("autoscaling")

    def check(self, news: Props, olds: Props) -> list[tuple[str, str]]:  # noqa: ARG002
        timeout = news["waitForCapacityTimeout"]
        failures = []
        try:
            wait_seconds(timeout)
        except ConfigError:
            failures.append(("waitForCapacityTimeout", f"{timeout!r} is not a duration such as 10m, or 0"))
        template = news["launchTemplate"]
        if template is not UNKNOWN and ("id" in template) == ("name" in template):
            failures.append(("launchTemplate", "exactly one of id and name is needed"))
        return failures

    def differs(self, key: str, old: Any, new: Any) -> bool:
        if key in SETS:
            return canonical(old) != canonical(new)
        if key == "launchTemplate" and old and new:  # what the program left out is AWS's to fill in
            return any(old.get(name) != value for name, value in new.items())
        if key in ("protectFromScaleIn", "capacityRebalance", "forceDelete", "ignoreFailedScalingActivities"):
            return bool(old) != bool(new)
        return bool(old != new)

    def create(self, props: Props, context: Context) -> tuple[str, Props]:
        name = props.get("name") or f"{props['namePrefix']}{time.time_ns():x}"
        tags = [tag(name, each) for each in props.get("tags", [])]
        hooks = [hook(each) for each in props.get("initialLifecycleHooks", [])]
        with doing(f"creating Auto Scaling Group ({name})"):
            self._api.create_auto_scaling_group(
                AutoScalingGroupName=name,
                Tags=tags,
                **({"LifecycleHookSpecificationList": hooks} if hooks else {}),
                **({"TargetGroupARNs": props["targetGroupArns"]} if props.get("targetGroupArns") else {}),
                **sizes(props, props),
            )
        try:
            self._wait_for_capacity(name, props)
            if props.get("suspendedProcesses"):
                with doing(f"suspending Auto Scaling Group ({name}) scaling processes"):
                    self._api.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=props["suspendedProcesses"])
        except PluginError as error:  # the group exists: the engine must know of it
            raise PluginError(str(error), partial=(name, self.read(name, props, context) or props)) from None
        return name, self.read(name, props, context) or props

    def read(self, resource_id: str, state: Props, context: Context) -> Props | None:  # noqa: ARG002
        group = self._describe(resource_id)
        if group is None:
            return None
        template = group["LaunchTemplate"]
        policies = group.get("TerminationPolicies", [])
        found = {
            "id": resource_id,
            "name": group["AutoScalingGroupName"],
            "arn": group["AutoScalingGroupARN"],
            "availabilityZones": sorted(group["AvailabilityZones"]),
            "vpcZoneIdentifiers": sorted(group["VPCZoneIdentifier"].split(",")),
            "launchTemplate": {
                "id": template["LaunchTemplateId"],
                "name": template["LaunchTemplateName"],
                "version": template.get("Version", "$Default"),
            },
            "suspendedProcesses": sorted(each["ProcessName"] for each in group["SuspendedProcesses"]),
            "targetGroupArns": sorted(group.get("TargetGroupARNs", [])),
            "terminationPolicies": [] if policies == ["Default"] else policies,
            "tags": [
                {"key": each["Key"], "value": each["Value"], "propagateAtLaunch": each["PropagateAtLaunch"]}
                for each in group["Tags"]
                if not each["Key"].startswith("aws:")
            ],
            "region": self._cloud.region if self._cloud else state.get("region"),
        }
        for ours, theirs in SIMPLE.items():
            if ours not in found and theirs in group:
                found[ours] = group[theirs]
        for carried in (*ONLY_OURS, "defaultInstanceWarmup", "namePrefix", "capacityRebalance", "defaultCooldown"):
            if carried in state and state[carried] is not UNKNOWN:
                found.setdefault(carried, state[carried])
        return found

    def update(self, resource_id: str, olds: Props, news: Props, context: Context) -> Props:
        changed = self.compare(olds, news, context.ignore)
        request = sizes(news, changed)
        with doing(f"updating Auto Scaling Group ({resource_id})"):
            if request:
                self._api.update_auto_scaling_group(AutoScalingGroupName=resource_id, **request)
            if "tags" in changed:
                self._retag(resource_id, olds.get("tags") or [], news.get("tags") or [])
            if "suspendedProcesses" in changed:
                self._resuspend(resource_id, set(olds.get("suspendedProcesses") or []), news)
            if "targetGroupArns" in changed:
                self._retarget(resource_id, set(olds.get("targetGroupArns") or []), news)
        if {"minSize", "desiredCapacity"} & set(changed):
            self._wait_for_capacity(resource_id, news)
        return self.read(resource_id, news, context) or news

    def delete(self, resource_id: str, state: Props, context: Context) -> None:
        deadline = time.monotonic() + (context.timeout or DELETE_TIMEOUT)
        if self._describe(resource_id) is None:
            return
        force = bool(state.get("forceDelete"))
        if not force:
            self._empty(resource_id, deadline)
        while True:
            try:
                with doing(f"deleting Auto Scaling Group ({resource_id})"):
                    self._delete_once(resource_id, force)
            except _BusyError as busy:
                if time.monotonic() > deadline:
                    raise PluginError(f"deleting Auto Scaling Group ({resource_id}): {busy}") from None
                time.sleep(POLL)
            else:
                return

    # Steps

    def _describe(self, name: str) -> Props | None:
        with doing(f"reading Auto Scaling Group ({name})"):
            groups = self._api.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return groups[0] if groups else None

    def _delete_once(self, name: str, force: bool) -> None:
        try:
            self._api.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=force)
        except ClientError as error:
            if code_of(error) in ("ResourceInUse", "ScalingActivityInProgress"):
                raise _BusyError(str(error)) from None
            if "not found" not in str(error):
                raise

    def _empty(self, name: str, deadline: float) -> None:
        """Scale to 0 and wait until the last instance, and with it every termination hook, is gone."""
        with doing(f"draining Auto Scaling Group ({name})"):
            self._api.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0, MaxSize=0, DesiredCapacity=0)
        while True:
            group = self._describe(name)
            instances = (group or {}).get("Instances", [])
            if not instances:
                return
            held = [each["InstanceId"] for each in instances if each.get("ProtectedFromScaleIn")]
            if held:
                with doing(f"disabling scale-in protection of Auto Scaling Group ({name})"):
                    self._api.set_instance_protection(
                        AutoScalingGroupName=name, InstanceIds=held, ProtectedFromScaleIn=False
                    )
            if time.monotonic() > deadline:
                raise PluginError(
                    f"waiting for Auto Scaling Group ({name}) drain: timeout while waiting for state to become "
                    f"'0 instances' (last state: {len(instances)} instance(s))"
                )
            time.sleep(POLL)

    def _wait_for_capacity(self, name: str, props: Props) -> None:
        timeout = wait_seconds(props["waitForCapacityTimeout"])
        if timeout == 0:
            return
        wanted = props.get("desiredCapacity") or props["minSize"]
        deadline = time.monotonic() + timeout
        while True:
            instances = (self._describe(name) or {}).get("Instances", [])
            ready = sum(i["LifecycleState"] == "InService" and i["HealthStatus"] == "Healthy" for i in instances)
            if ready >= wanted:
                return
            self._fail_on_failed_activity(name, props)
            if time.monotonic() > deadline:
                raise PluginError(
                    f"waiting for Auto Scaling Group ({name}) capacity satisfied: timeout - last error: want at least "
                    f"{wanted} healthy instance(s) in Auto Scaling Group, have {ready}"
                )
            time.sleep(POLL)

    def _fail_on_failed_activity(self, name: str, props: Props) -> None:
        if props.get("ignoreFailedScalingActivities"):
            return
        with doing(f"reading Auto Scaling Group ({name}) activities"):
            activities = self._api.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
        for each in activities:
            if each["StatusCode"] in ("Failed", "Cancelled"):
                raise PluginError(
                    f"waiting for Auto Scaling Group ({name}) capacity satisfied: scaling activity "
                    f"({each['ActivityId']}): {each['StatusCode']}: {each.get('StatusMessage', '')}"
                )

    def _retag(self, name: str, olds: list[Props], news: list[Props]) -> None:
        kept = {each["key"] for each in news}
        gone = [tag(name, each) for each in olds if each["key"] not in kept]
        if gone:
            self._api.delete_tags(Tags=gone)
        if news:
            self._api.create_or_update_tags(Tags=[tag(name, each) for each in news])

    def _resuspend(self, name: str, olds: set[str], news: Props) -> None:
        wanted = set(news.get("suspendedProcesses") or [])
        if olds - wanted:
            self._api.resume_processes(AutoScalingGroupName=name, ScalingProcesses=sorted(olds - wanted))
        if wanted - olds:
            self._api.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=sorted(wanted - olds))

    def _retarget(self, name: str, olds: set[str], news: Props) -> None:
        wanted = set(news.get("targetGroupArns") or [])
        if olds - wanted:
            self._api.detach_load_balancer_target_groups(
                AutoScalingGroupName=name, TargetGroupARNs=sorted(olds - wanted)
            )
        if wanted - olds:
            self._api.attach_load_balancer_target_groups(
                AutoScalingGroupName=name, TargetGroupARNs=sorted(wanted - olds)
            )


class _BusyError(Exception):
    """The group still has instances or activities: try again."""
