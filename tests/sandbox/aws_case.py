"""A simulated AWS of its own for a test module, and the few calls that most of its tests need."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from sandbox.aws.switches import write_switches

REPOSITORY = Path(__file__).resolve().parents[2]
SUBNETS = ["subnet-0aaaaaaaaaaaaaaa1", "subnet-0bbbbbbbbbbbbbbb2", "subnet-0ccccccccccccccc3"]
IMAGE = "ami-0bbbbbbbbbbb77190"
LAUNCH_HOOK = {
    "LifecycleHookName": "nodepools-validate",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "HeartbeatTimeout": 600,
    "DefaultResult": "ABANDON",
}


def until(condition: Callable[[], Any], timeout: float = 20.0) -> Any:
    """Return the first true value of `condition`; fail with its last value when there is none in time."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s; last value: {value!r}")
        time.sleep(0.05)


@dataclass
class Aws:
    """A running server; `names` hands out group names that no other test uses."""

    endpoint: str
    state_dir: Path
    count: int = 0
    clients: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, service: str) -> Any:
        if service.startswith("_"):
            raise AttributeError(service)
        if service not in self.clients:
            self.clients[service] = boto3.client(
                service,
                endpoint_url=self.endpoint,
                region_name="us-west-2",
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        return self.clients[service]

    def switch(self, **switches: Any) -> None:
        write_switches(self.state_dir, switches)

    def template(self, **data: Any) -> str:
        self.count += 1
        made = self.ec2.create_launch_template(
            LaunchTemplateName=f"template-{self.count}",
            LaunchTemplateData={"ImageId": IMAGE, "InstanceType": "m5.2xlarge", **data},
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def next_name(self) -> str:
        self.count += 1
        return f"group-{self.count}"

    def group(self, template: str | None = None, low: int = 0, high: int = 9, name: str = "", **options: Any) -> str:
        name = name or self.next_name()
        options.setdefault("VPCZoneIdentifier", ",".join(SUBNETS))
        self.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=low,
            MaxSize=high,
            LaunchTemplate={"LaunchTemplateId": template or self.template(), "Version": "1"},
            **options,
        )
        return name

    def view(self, name: str) -> Any:
        return self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]

    def members(self, name: str, state: str | None = None) -> list[Any]:
        return [i for i in self.view(name)["Instances"] if state in (None, i["LifecycleState"])]

    def complete(self, name: str, instance_id: str, result: str = "CONTINUE", hook: str = "nodepools-validate") -> None:
        self.autoscaling.complete_lifecycle_action(
            AutoScalingGroupName=name, LifecycleHookName=hook, InstanceId=instance_id, LifecycleActionResult=result
        )

    def activities(self, name: str, status: str | None = None) -> list[Any]:
        answer = self.autoscaling.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
        return [each for each in answer if status in (None, each["StatusCode"])]


@contextmanager
def running_aws(state_dir: Path, account: str = "123456789012") -> Iterator[Aws]:
    """The server as its own process on a free port, ended by its pid."""
    command = [sys.executable, "-m", "sandbox.aws_server", "--port", "0", "--state-dir", str(state_dir)]
    with (state_dir / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--account", account],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("aws ready on "), (state_dir / "log").read_text()
        yield Aws(endpoint=line.split()[3], state_dir=state_dir)
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
