"""What the fleet reads from the simulated AWS, and the few `aws` commands that an instance may run itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import boto3
import jmespath  # type: ignore[import-untyped]
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

GROUP_TAG = "aws:autoscaling:groupName"
DEFAULT_KERNEL = "3.10.0-1062.4.1.el7.x86_64"
FAILURES = (BotoCoreError, ClientError)

# Options of each command an instance may use: option -> whether it takes several values, None for a switch.
_COMMANDS: dict[tuple[str, str], dict[str, bool | None]] = {
    ("autoscaling", "describe-auto-scaling-instances"): {"instance-ids": True},
    ("autoscaling", "complete-lifecycle-action"): {
        "auto-scaling-group-name": False,
        "lifecycle-hook-name": False,
        "instance-id": False,
        "lifecycle-action-result": False,
    },
    ("autoscaling", "record-lifecycle-action-heartbeat"): {
        "auto-scaling-group-name": False,
        "lifecycle-hook-name": False,
        "instance-id": False,
    },
    ("ssm", "get-parameter"): {"name": False, "with-decryption": None},
}
_COMMON: dict[str, bool | None] = {"region": False, "query": False, "output": False}


@dataclass(frozen=True)
class Instance:
    """An instance of some group that exists, in any state before its end."""

    id: str
    image: str
    group: str
    zone: str
    address: str
    dns: str
    type: str
    tags: dict[str, str]


class Cloud:
    """Calls on one endpoint; boto3's clients may be used by several threads."""

    def __init__(self, endpoint: str, region: str = "us-west-2") -> None:
        # A moto server looks at no credentials; fixed ones keep the developer's own out of it.
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=region)  # noqa: S106
        config = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2})
        self.region = region
        self._clients: dict[str, Any] = {
            name: session.client(name, endpoint_url=endpoint, config=config) for name in ("ec2", "autoscaling", "ssm")
        }
        self._kernels: dict[str, str] = {}

    def instances(self) -> dict[str, Instance]:
        """Every instance of an Auto Scaling group that is not on its way out."""
        filters = [
            {"Name": "tag-key", "Values": [GROUP_TAG]},
            {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
        ]
        pages = self._clients["ec2"].get_paginator("describe_instances").paginate(Filters=filters)
        found = (one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"])
        return {one["InstanceId"]: _instance(one) for one in found}

    def user_data(self, instance_id: str) -> str:
        answer = self._clients["ec2"].describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
        return str(answer.get("UserData", {}).get("Value", ""))

    def kernel(self, image: str) -> str:
        """The kernel that an image boots: its tag `kernel`, as an image pipeline would leave it."""
        if image not in self._kernels:
            try:
                images = self._clients["ec2"].describe_images(ImageIds=[image])["Images"]
            except ClientError as error:
                if not error.response["Error"]["Code"].startswith("InvalidAMIID"):
                    raise
                images = []  # any id may be launched, few are described
            tags = {tag["Key"]: tag["Value"] for one in images for tag in one.get("Tags", [])}
            self._kernels[image] = tags.get("kernel", DEFAULT_KERNEL)
        return self._kernels[image]

    def command(self, words: Sequence[str]) -> tuple[int, str]:
        """Run an `aws …` command line; its exit status and what it prints, as awscli would."""
        try:
            service, operation, options = _read_command(words)
            parameters = {
                "".join(part.capitalize() for part in name.split("-")): value
                for name, value in options.items()
                if name not in _COMMON
            }
            answer = getattr(self._clients[service], operation.replace("-", "_"))(**parameters)
        except ValueError as error:
            return 252, f"aws: {error}"
        except FAILURES as error:
            return 254, str(error)
        answer.pop("ResponseMetadata", None)
        value = jmespath.search(options["query"], answer) if "query" in options else None
        return 0, _as_text(value) if "query" in options else ""


def _instance(data: dict[str, Any]) -> Instance:
    tags = {tag["Key"]: tag["Value"] for tag in data.get("Tags", [])}
    return Instance(
        id=data["InstanceId"],
        image=data["ImageId"],
        group=tags[GROUP_TAG],
        zone=data["Placement"]["AvailabilityZone"],
        address=data["PrivateIpAddress"],
        dns=data["PrivateDnsName"],
        type=data["InstanceType"],
        tags=tags,
    )


def _read_command(words: Sequence[str]) -> tuple[str, str, dict[str, Any]]:
    service, operation, *rest = [*words, "", ""][: max(2, len(words))]
    known = _COMMANDS.get((service, operation))
    if known is None:
        raise ValueError(f"the sandbox's instances do not know {service} {operation}")
    known = known | _COMMON
    options: dict[str, Any] = {}
    while rest:
        name = rest.pop(0).removeprefix("--")
        if name not in known:
            raise ValueError(f"unknown option --{name} of {service} {operation}")
        if known[name] is None:
            options[name] = True
            continue
        values: list[str] = []
        while rest and not rest[0].startswith("--") and (known[name] or not values):
            values.append(rest.pop(0))
        if not values:
            raise ValueError(f"--{name} expects a value")
        options[name] = values if known[name] else values[0]
    if options.get("output", "text") != "text":
        raise ValueError("only --output text is imitated")
    return service, operation, options


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return "\t".join(_as_text(one) for one in value)
    return "None" if value is None else str(value)
