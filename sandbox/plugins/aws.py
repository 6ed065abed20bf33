"""Stand-in for `pulumi-resource-aws`: the resources and functions of this project over boto3.

    python -m sandbox.plugins.aws [engine address]

Speaks to whatever AWS the environment names (AWS_ENDPOINT_URL in the sandbox). What it imitates of the real provider
is listed in docs/sandbox.md; inputs it would silently ignore are refused by name.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from pulumi.provider.experimental import provider as api

from sandbox.plugins.aws_cloud import ENCODED, STRINGS, Cloud, Existing, cloud_of, doing
from sandbox.plugins.aws_group import Group
from sandbox.plugins.aws_iam import InstanceProfile, Role, RolePolicy, RolePolicyAttachment
from sandbox.plugins.aws_template import LaunchTemplate
from sandbox.plugins.host import Kind, Plugin, PluginError, Props, serve
from sandbox.plugins.values import plain_map

KINDS: Mapping[str, Callable[[Cloud | None], Kind]] = {
    "aws:ec2/launchTemplate:LaunchTemplate": LaunchTemplate,
    "aws:autoscaling/group:Group": Group,
    "aws:iam/role:Role": Role,
    "aws:iam/rolePolicy:RolePolicy": RolePolicy,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": RolePolicyAttachment,
    "aws:iam/instanceProfile:InstanceProfile": InstanceProfile,
}


class Aws(Plugin):
    """The package aws."""

    package = "aws"

    def __init__(self) -> None:
        self._cloud: Cloud | None = None

    @property
    def cloud(self) -> Cloud:
        if self._cloud is None:
            raise PluginError("the aws provider is not configured yet: part of its settings is not known in preview")
        return self._cloud

    def kind(self, token: str) -> Kind:
        if token not in KINDS:
            known = ", ".join(sorted(KINDS))
            raise PluginError(f"the sandbox's aws plugin does not know the resource {token}; it knows {known}")
        return KINDS[token](self._cloud)

    def set_up(self, settings: Props) -> None:
        known = {key: value for key, value in settings.items() if key != "version"}
        self._cloud = cloud_of(known)

    async def check_config(self, request: api.CheckRequest) -> api.CheckResponse:
        unknown = set(plain_map(request.new_inputs)) - {*STRINGS, *ENCODED, "version"}
        failures = [api.CheckFailure(name, f"invalid or unknown key {name!r}") for name in sorted(unknown)]
        return api.CheckResponse(request.new_inputs, failures)

    def functions(self) -> Mapping[str, Callable[[Props], Props]]:
        return {
            "aws:index/getCallerIdentity:getCallerIdentity": self._caller,
            "aws:index/getRegion:getRegion": self._region,
            "aws:ec2/getSubnet:getSubnet": self._subnet,
            "aws:ec2/getAmi:getAmi": self._image,
            "aws:ssm/getParameter:getParameter": self._parameter,
        }

    def _caller(self, _: Props) -> Props:
        with doing("reading STS Caller Identity"):
            caller = self.cloud.client("sts").get_caller_identity()
        return {
            "id": caller["Account"],
            "accountId": caller["Account"],
            "arn": caller["Arn"],
            "userId": caller["UserId"],
        }

    def _region(self, arguments: Props) -> Props:
        region = arguments.get("region") or self.cloud.region
        return {
            "id": region,
            "name": region,
            "region": region,
            "description": region,
            "endpoint": f"ec2.{region}.amazonaws.com",
        }

    def _subnet(self, arguments: Props) -> Props:
        filters = _filters(arguments)
        names = {"vpcId": "vpc-id", "availabilityZone": "availability-zone", "cidrBlock": "cidr-block"}
        filters += [{"Name": names[key], "Values": [arguments[key]]} for key in names if arguments.get(key)]
        chosen: dict[str, Any] = {"Filters": filters} if filters else {}
        if arguments.get("id"):
            chosen["SubnetIds"] = [arguments["id"]]
        subnets: list[Any] = []
        with doing("reading EC2 Subnet"), Existing("InvalidSubnetID.NotFound"):
            subnets = self.cloud.client("ec2").describe_subnets(**chosen)["Subnets"]
        if len(subnets) != 1:
            raise PluginError(f"reading EC2 Subnet: {_count(subnets)} matched {chosen}; use additional constraints")
        subnet = subnets[0]
        return {
            "id": subnet["SubnetId"],
            "arn": subnet["SubnetArn"],
            "availabilityZone": subnet["AvailabilityZone"],
            "availabilityZoneId": subnet["AvailabilityZoneId"],
            "availableIpAddressCount": subnet["AvailableIpAddressCount"],
            "cidrBlock": subnet["CidrBlock"],
            "defaultForAz": subnet["DefaultForAz"],
            "mapPublicIpOnLaunch": subnet["MapPublicIpOnLaunch"],
            "ownerId": subnet["OwnerId"],
            "region": self.cloud.region,
            "state": subnet["State"],
            "tags": {each["Key"]: each["Value"] for each in subnet.get("Tags", [])},
            "vpcId": subnet["VpcId"],
        }

    def _image(self, arguments: Props) -> Props:
        chosen: dict[str, Any] = {"Filters": _filters(arguments)} if _filters(arguments) else {}
        if arguments.get("owners"):
            chosen["Owners"] = arguments["owners"]
        with doing("reading EC2 AMIs"):
            images = self.cloud.client("ec2").describe_images(**chosen)["Images"]
        if len(images) > 1 and arguments.get("mostRecent"):
            images = [max(images, key=lambda each: str(each["CreationDate"]))]
        if len(images) != 1:
            raise PluginError(f"reading EC2 AMIs: your query returned {_count(images)}; change your search criteria")
        image = images[0]
        return {
            "id": image["ImageId"],
            "imageId": image["ImageId"],
            "name": image["Name"],
            "architecture": image["Architecture"],
            "creationDate": image["CreationDate"],
            "ownerId": image["OwnerId"],
            "rootDeviceName": image["RootDeviceName"],
            "state": image["State"],
            "tags": {each["Key"]: each["Value"] for each in image.get("Tags", [])},
            "region": self.cloud.region,
        }

    def _parameter(self, arguments: Props) -> Props:
        name = arguments["name"]
        with doing(f"reading SSM Parameter ({name})"):
            found = self.cloud.client("ssm").get_parameter(
                Name=name, WithDecryption=arguments.get("withDecryption", True)
            )["Parameter"]
        return {
            "id": name,
            "name": name,
            "arn": found["ARN"],
            "type": found["Type"],
            "value": found["Value"],
            "version": found["Version"],
            "region": self.cloud.region,
        }


def _filters(arguments: Props) -> list[dict[str, Any]]:
    filters = [{"Name": each["name"], "Values": each["values"]} for each in arguments.get("filters") or []]
    return filters + [{"Name": f"tag:{key}", "Values": [value]} for key, value in (arguments.get("tags") or {}).items()]


def _count(found: list[Any]) -> str:
    return "no result" if not found else f"{len(found)} results"


if __name__ == "__main__":
    serve(Aws(), version("pulumi-aws"))
