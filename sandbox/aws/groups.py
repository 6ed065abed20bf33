"""An Auto Scaling group that keeps its size, honours lifecycle hooks and suspended processes, and tells what it did.

Replaces moto's group, which launches straight to InService, into one subnet, and knows neither hooks nor activities.
Every change happens in `reconcile`, called on each API event and by the server's timer; the caller holds the lock.
Not imitated: AZRebalance (zones are balanced at launch only), warm pools, instance refresh, policies' own timing.
"""

import importlib
import json
import time
from collections import deque
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from moto.core.exceptions import ServiceException
from moto.core.utils import utcnow

from sandbox.aws.switches import Switches
from sandbox.aws.world import template_arguments

# Any: moto's annotations describe its own classes, not the ones that are put in their place here.
models: Any = importlib.import_module("moto.autoscaling.models")

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
RELAUNCH_DELAY = 1.0
"""Seconds between an abandoned launch and its replacement: a bad image must not spin."""
REFUSED_DELAY = 5.0
"""Seconds until a launch that EC2 refused is tried again."""
ACTIVITIES_KEPT = 200


@dataclass
class Wait:
    """One lifecycle hook that holds an instance."""

    hook: Any
    token: str
    deadline: float

    def extend(self) -> None:
        self.deadline = time.monotonic() + self.hook.heartbeat_timeout


class Member(models.InstanceState):  # type: ignore[misc]
    """An instance in a group, with the hooks it still waits for and the activity that tells its story."""

    lifecycle_state: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waits: dict[str, Wait] = {}
        self.hooked = False
        """Whether termination hooks hold it once its load balancers have let go of it."""
        self.activity: dict[str, Any] | None = None

    @property
    def counts(self) -> bool:
        """Whether the instance is part of the group's capacity."""
        return self.lifecycle_state == "InService" or self.lifecycle_state.startswith("Pending")

    @property
    def launch_template(self) -> dict[str, Any] | None:
        """The version that this instance was launched from, not the template's present default."""
        template = self.auto_scaling_group.ec2_launch_template
        tags = {tag["key"]: tag["value"] for tag in self.instance.get_tags()}
        version = tags.get("aws:ec2launchtemplate:version")
        if template is None or version is None:
            return None
        return {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name, "Version": version}


class Group(models.FakeAutoScalingGroup):  # type: ignore[misc]
    """See the module's text. `switches` is set once by the server before the first group exists."""

    switches: Switches
    instance_states: list[Member]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.activities: deque[dict[str, Any]] = deque(maxlen=ACTIVITIES_KEPT)
        self.retry_at = 0.0
        self._ready = False
        super().__init__(*args, **kwargs)
        self._ready = True

    def set_desired_capacity(self, new_capacity: int | None) -> None:
        self.desired_capacity = self.min_size if new_capacity is None else new_capacity
        if self._ready:  # the constructor calls this before the group is known to the backend
            self.reconcile()

    def suspended(self, process: str) -> bool:
        return any(entry["ProcessName"] == process for entry in self.suspended_processes)

    def reconcile(self) -> None:
        """Bring the group nearer to its desired capacity; does nothing when there is nothing to do."""
        now = time.monotonic()
        for member in list(self.instance_states):
            self._expire(member, now)
            if member.lifecycle_state == "Terminating":
                self._drained(member)
        if not (self.suspended("HealthCheck") or self.suspended("ReplaceUnhealthy") or self.suspended("Terminate")):
            for member in [m for m in self.instance_states if m.health_status == "Unhealthy"]:
                self.terminate(member, "an instance was taken out of service in response to an EC2 health check")
        missing = (self.desired_capacity or 0) - sum(m.counts for m in self.instance_states)
        if missing > 0 and now >= self.retry_at and not self.suspended("Launch"):
            self._launch(missing)
        elif missing < 0 and not self.suspended("Terminate"):
            for member in self._victims(-missing):
                self.terminate(member, "a difference between desired and actual capacity shrinking the capacity")

    # Launching

    def _launch(self, count: int) -> None:
        refused: set[str] = set()
        for _ in range(count):
            subnet = self._next_subnet(refused)
            if subnet is None:
                self.retry_at = time.monotonic() + REFUSED_DELAY
                return
            try:
                instance = self._run(subnet)
            except ServiceException as error:
                self._record_refusal(subnet, f"{error.message} Launching EC2 instance failed.")
                self.retry_at = time.monotonic() + REFUSED_DELAY
                return
            self._admit(instance)

    def _next_subnet(self, refused: set[str]) -> Any | None:
        """The subnet of the emptiest zone that takes another instance; each refusal is recorded once per round."""
        ids = (self.vpc_zone_identifier or "").split(",")
        subnets = [self.ec2_backend.get_subnet(subnet_id.strip()) for subnet_id in ids if subnet_id.strip()]
        used = [m.availability_zone for m in self.instance_states if m.counts]
        for subnet in sorted(subnets, key=lambda each: used.count(each.availability_zone)):
            if subnet.id in refused:
                continue
            reason = self.switches.refusal(subnet.availability_zone, subnet.id, self.instance_type)
            if reason is None:
                return subnet
            refused.add(subnet.id)
            self._record_refusal(subnet, reason)
        return None

    def _record_refusal(self, subnet: Any, reason: str) -> None:
        activity = self._record("Launching a new EC2 instance", "an instance was started", subnet)
        self._close(activity, "Failed", reason)

    def _run(self, subnet: Any) -> Any:
        tags = self.get_propagated_tags()
        tags[models.ASG_NAME_TAG] = self.name
        arguments: dict[str, Any] = {
            "instance_type": self.instance_type,
            "placement": subnet.availability_zone,
            "region_name": self.region,
            "is_instance_type_default": False,
            "subnet_id": subnet.id,
            "associate_public_ip": False,
        }
        if self.ec2_launch_template is not None:
            version = self.ec2_launch_template.get_version(self.launch_template_version)
            arguments.update(template_arguments(version))
            tags = {**self.instance_tags, **tags}
        reservation = self.ec2_backend.run_instances(
            self.image_id, 1, self.user_data, self.security_groups, tags={"instance": tags}, **arguments
        )
        instance: Any = reservation.instances[0]
        instance.autoscaling_group = self
        for interface in instance.nics.values():  # moto keeps them, and their addresses, otherwise
            interface.delete_on_termination = True
        return instance

    def _admit(self, instance: Any) -> None:
        member = Member(instance, protected_from_scale_in=self.new_instances_protected_from_scale_in)
        self.instance_states.append(member)
        member.activity = self._record(
            f"Launching a new EC2 instance: {instance.id}",
            "an instance was started in response to a difference between desired and actual capacity",
            self.ec2_backend.get_subnet(instance.subnet_id),
        )
        if self._hold(member, LAUNCHING):
            member.lifecycle_state = "Pending:Wait"
        else:
            self._enter_service(member)

    def _enter_service(self, member: Member) -> None:
        member.lifecycle_state = "InService"
        self._close(member.activity, "Successful")
        self.autoscaling_backend.add_targets(self, [member.instance_id])

    # Lifecycle hooks

    def _hold(self, member: Member, transition: str) -> bool:
        """Start the waits of all hooks of a transition; False when there are none."""
        for hook in self.autoscaling_backend.describe_lifecycle_hooks(self.name):
            if hook.lifecycle_transition == transition:
                wait = Wait(hook, str(uuid4()), 0.0)
                wait.extend()
                member.waits[hook.name] = wait
        if member.waits and member.activity is not None:
            member.activity.update(StatusCode="MidLifecycleAction", Progress=40)
        return bool(member.waits)

    def complete(self, member: Member, hook_name: str, result: str, why: str) -> None:
        """A hook's answer, from the API or by its timeout: CONTINUE goes on when no other hook waits."""
        wait = member.waits.pop(hook_name)
        abandoned = result == "ABANDON"
        if abandoned:
            member.waits.clear()
        if member.waits:
            return
        if member.lifecycle_state == "Terminating:Wait":
            self._finish(member)
        elif abandoned:
            self._close(
                member.activity,
                "Cancelled",
                "Instance failed to complete user's Lifecycle Action: "
                f"Lifecycle Action with token {wait.token} was abandoned: {why}",
            )
            self.retry_at = time.monotonic() + RELAUNCH_DELAY
            self._end(member)
        else:
            self._enter_service(member)

    def _expire(self, member: Member, now: float) -> None:
        for wait in list(member.waits.values()):
            if wait.hook.name in member.waits and now >= wait.deadline:
                self.complete(member, wait.hook.name, wait.hook.default_result, "Heartbeat Timeout")

    # Terminating

    def _victims(self, count: int) -> list[Member]:
        """Unprotected instances, from the fullest zone first, oldest first within it."""
        chosen: list[Member] = []
        free = [m for m in self.instance_states if m.counts and not m.protected_from_scale_in]
        while free and len(chosen) < count:
            zones = [m.availability_zone for m in free]
            victim = max(free, key=lambda m: zones.count(m.availability_zone))
            free.remove(victim)
            chosen.append(victim)
        return chosen

    def terminate(self, member: Member, cause: str) -> dict[str, Any]:
        """Take an instance out, through the termination hooks if there are any; returns the activity."""
        if member.lifecycle_state.startswith("Terminating"):
            return member.activity or {}
        member.hooked = member.lifecycle_state == "InService" and member.health_status == "Healthy"
        member.waits.clear()
        subnet = self.ec2_backend.get_subnet(member.instance.subnet_id)
        member.activity = self._record(f"Terminating EC2 instance: {member.instance_id}", cause, subnet)
        member.lifecycle_state = "Terminating"
        self.autoscaling_backend.forget_targets(self, [member.instance_id])
        self._drained(member)
        return member.activity or {}

    def _drained(self, member: Member) -> None:
        """Go on with an instance that is to end once the group's load balancers have let go of it."""
        if member.hooked and self.autoscaling_backend.drains(self, member.instance_id):
            return
        if member.hooked and self._hold(member, TERMINATING):
            member.lifecycle_state = "Terminating:Wait"
        else:
            self._finish(member)

    def _finish(self, member: Member) -> None:
        self._close(member.activity, "Successful")
        self._end(member)

    def _end(self, member: Member) -> None:
        self.instance_states = [m for m in self.instance_states if m is not member]
        if member.instance.state != "terminated":
            self.ec2_backend.terminate_instances([member.instance_id])

    # Activities

    def _record(self, description: str, cause: str, subnet: Any) -> dict[str, Any]:
        now = utcnow()
        activity: dict[str, Any] = {
            "ActivityId": str(uuid4()),
            "AutoScalingGroupName": self.name,
            "AutoScalingGroupARN": self.arn,
            "Description": description,
            "Cause": f"At {now:%Y-%m-%dT%H:%M:%SZ} {cause}.",
            "StartTime": now,
            "StatusCode": "InProgress",
            "Progress": 30,
            "Details": json.dumps({"Subnet ID": subnet.id, "Availability Zone": subnet.availability_zone}),
        }
        self.activities.appendleft(activity)
        return activity

    @staticmethod
    def _close(activity: dict[str, Any] | None, status: str, message: str | None = None) -> None:
        if activity is None:  # attached by hand: no activity began with it
            return
        activity.update(StatusCode=status, Progress=100, EndTime=utcnow())
        if message is not None:
            activity["StatusMessage"] = message
