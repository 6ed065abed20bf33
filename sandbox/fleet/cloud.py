"""What the fleet reads from the simulated AWS, and the few calls that an instance makes itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.aws.gatekeeper import called, refusal

GROUP_TAG = "aws:autoscaling:groupName"
DEFAULT_KERNEL = "3.10.0-1062.4.1.el7.x86_64"
FAILURES = (BotoCoreError, ClientError)

# What the role of a node may do (node_role); anything else is refused as AWS would.
NODE_ACTIONS = {
    ("autoscaling", "CompleteLifecycleAction"),
    ("ec2", "CreateTags"),
    ("ssm", "GetParameter"),
    ("secretsmanager", "GetSecretValue"),
}
_PASSED_ON = ("authorization", "content-type", "x-amz-date", "x-amz-target", "x-amz-security-token")


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
            name: session.client(name, endpoint_url=endpoint, config=config) for name in ("ec2",)
        }
        self._kernels: dict[str, str] = {}
        self._endpoint = endpoint
        self._pool = urllib3.PoolManager(retries=False)

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

    def forward(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str, bytes]:
        """Pass on a node's own request, header names in lower case: status, content type and text of the answer."""
        service, action = called(headers, "/", body)
        if (service, action) not in NODE_ACTIONS:
            return refusal(service, "AccessDenied", f"the role of a node may not call {service}:{action}")
        kept = {name: headers[name] for name in _PASSED_ON if name in headers}
        answer = self._pool.request("POST", self._endpoint, headers=kept, body=body, timeout=20)
        return answer.status, answer.headers.get("Content-Type", ""), answer.data


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
