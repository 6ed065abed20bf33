"""aws:ec2/launchTemplate:LaunchTemplate: a new template version for every change, numbers as outputs."""

import time
from typing import Any, ClassVar

from sandbox.plugins.aws_cloud import Cloud, Existing, doing
from sandbox.plugins.host import Context, Inputs, Kind, Props
from sandbox.plugins.values import FLAG

NAMES = {"vpcSecurityGroupIds": "SecurityGroupIds", "securityGroups": "Groups", "ramDiskId": "RamDiskId"}
NOT_DATA = ("name", "namePrefix", "description", "tags", "updateDefaultVersion", "defaultVersion", "region")
GONE = ("InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.NotFoundException")


class LaunchTemplate(Kind):
    """A launch template with its versions."""

    inputs: ClassVar[Inputs] = {
        "name": str,
        "namePrefix": str,
        "description": str,
        "imageId": str,
        "instanceType": str,
        "keyName": str,
        "userData": str,
        "ebsOptimized": FLAG,
        "disableApiTermination": bool,
        "instanceInitiatedShutdownBehavior": str,
        "iamInstanceProfile": {"arn": str, "name": str},
        "vpcSecurityGroupIds": [str],
        "networkInterfaces": [
            {
                "associatePublicIpAddress": FLAG,
                "deleteOnTermination": FLAG,
                "description": str,
                "deviceIndex": int,
                "securityGroups": [str],
                "subnetId": str,
            }
        ],
        "blockDeviceMappings": [
            {
                "deviceName": str,
                "ebs": {
                    "volumeSize": int,
                    "volumeType": str,
                    "encrypted": FLAG,
                    "deleteOnTermination": FLAG,
                    "iops": int,
                    "throughput": int,
                    "kmsKeyId": str,
                    "snapshotId": str,
                },
            }
        ],
        "metadataOptions": {
            "httpEndpoint": str,
            "httpTokens": str,
            "httpPutResponseHopLimit": int,
            "httpProtocolIpv6": str,
            "instanceMetadataTags": str,
        },
        "instanceMarketOptions": {"marketType": str},
        "monitoring": {"enabled": bool},
        "tagSpecifications": [{"resourceType": str, "tags": {"*": str}}],
        "tags": {"*": str},
        "updateDefaultVersion": bool,
        "defaultVersion": int,
        "region": str,
    }
    force_new = ("name", "namePrefix", "region")
    optional_computed = ("name", "defaultVersion", "region")
    computed = ("arn", "latestVersion", "defaultVersion", "tagsAll", "region")
    auto_name = "name"

    def __init__(self, cloud: Cloud | None) -> None:
        self._cloud = cloud

    @property
    def _api(self) -> Any:
        assert self._cloud is not None
        return self._cloud.client("ec2")

    def _all_tags(self, props: Props) -> dict[str, str]:
        return {**(self._cloud.default_tags if self._cloud else {}), **(props.get("tags") or {})}

    def check(self, news: Props, olds: Props) -> list[tuple[str, str]]:  # noqa: ARG002
        if "updateDefaultVersion" in news and "defaultVersion" in news:
            return [("defaultVersion", "conflicts with updateDefaultVersion")]
        return []

    def recomputed(self, changed: set[str]) -> list[str]:
        numbers = ["latestVersion"] if changed - {"tags", "updateDefaultVersion", "defaultVersion"} else []
        return [*numbers, *(["defaultVersion"] if numbers or "updateDefaultVersion" in changed else [])]

    def create(self, props: Props, context: Context) -> tuple[str, Props]:
        name = props.get("name") or f"{props['namePrefix']}{time.time_ns():x}"
        tags = _tag_list(self._all_tags(props))
        extra = {"TagSpecifications": [{"ResourceType": "launch-template", "Tags": tags}]} if tags else {}
        with doing(f"creating EC2 Launch Template ({name})"):
            made = self._api.create_launch_template(
                LaunchTemplateName=name, LaunchTemplateData=_data(props), **_description(props), **extra
            )["LaunchTemplate"]
        template_id = str(made["LaunchTemplateId"])
        return template_id, self.read(template_id, props, context) or props

    def read(self, resource_id: str, state: Props, context: Context) -> Props | None:  # noqa: ARG002
        with doing(f"reading EC2 Launch Template ({resource_id})"), Existing(*GONE):
            templates = self._api.describe_launch_templates(LaunchTemplateIds=[resource_id])["LaunchTemplates"]
            if not templates:
                return None
            versions = self._api.describe_launch_template_versions(LaunchTemplateId=resource_id, Versions=["$Latest"])[
                "LaunchTemplateVersions"
            ]
            return self._found(templates[0], versions[0]["LaunchTemplateData"], state)
        return None

    def _found(self, template: Props, data: Props, state: Props) -> Props:
        assert self._cloud is not None
        tags = {each["Key"]: each["Value"] for each in template.get("Tags", [])}
        defaults = self._cloud.default_tags
        found: Props = {
            **state,
            "id": template["LaunchTemplateId"],
            "name": template["LaunchTemplateName"],
            "arn": (
                f"arn:aws:ec2:{self._cloud.region}:{self._cloud.account()}"
                f":launch-template/{template['LaunchTemplateId']}"
            ),
            "latestVersion": template["LatestVersionNumber"],
            "defaultVersion": template["DefaultVersionNumber"],
            "tagsAll": tags,
            "tags": {key: value for key, value in tags.items() if defaults.get(key) != value},
            "region": self._cloud.region,
        }
        for ours, theirs in (("imageId", "ImageId"), ("instanceType", "InstanceType"), ("userData", "UserData")):
            if data.get(theirs):
                found[ours] = data[theirs]
        return found

    def update(self, resource_id: str, olds: Props, news: Props, context: Context) -> Props:
        changed = set(self.compare(olds, news, context.ignore))
        # What is ignored keeps the value it has.
        wanted = {**news, **{key: olds[key] for key in context.ignore if key in olds}}
        with doing(f"updating EC2 Launch Template ({resource_id})"):
            default = wanted.get("defaultVersion") if "defaultVersion" in changed else None
            if changed - {"tags", "updateDefaultVersion", "defaultVersion"}:
                made = self._api.create_launch_template_version(
                    LaunchTemplateId=resource_id, LaunchTemplateData=_data(wanted), **_description(wanted)
                )["LaunchTemplateVersion"]
                if wanted.get("updateDefaultVersion"):
                    default = made["VersionNumber"]
            if default is not None:
                self._api.modify_launch_template(LaunchTemplateId=resource_id, DefaultVersion=str(default))
            if "tags" in changed:
                self._retag(resource_id, olds.get("tagsAll") or {}, self._all_tags(wanted))
        carried = {key: value for key, value in wanted.items() if key not in ("latestVersion", "defaultVersion")}
        return self.read(resource_id, carried, context) or carried

    def delete(self, resource_id: str, state: Props, context: Context) -> None:  # noqa: ARG002
        with doing(f"deleting EC2 Launch Template ({resource_id})"):
            if self._api.describe_launch_templates(LaunchTemplateIds=[resource_id])["LaunchTemplates"]:
                self._api.delete_launch_template(LaunchTemplateId=resource_id)

    def _retag(self, resource_id: str, olds: dict[str, str], news: dict[str, str]) -> None:
        gone = [{"Key": key} for key in olds if key not in news]
        if gone:
            self._api.delete_tags(Resources=[resource_id], Tags=gone)
        if news:
            self._api.create_tags(Resources=[resource_id], Tags=_tag_list(news))


def _tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _description(props: Props) -> Props:
    return {"VersionDescription": props["description"]} if props.get("description") else {}


def _data(props: Props) -> Props:
    """LaunchTemplateData: the API's names are the provider's with a capital, but for a few."""
    data: Props = {}
    for key, value in props.items():
        if key in LaunchTemplate.inputs and key not in NOT_DATA and value not in (None, [], {}, ""):
            data[NAMES.get(key, key[0].upper() + key[1:])] = _api_value(key, value)
    return data


def _api_value(key: str, value: Any) -> Any:
    if key == "tags":
        return _tag_list(value)
    if isinstance(value, dict):
        return {NAMES.get(k, k[0].upper() + k[1:]): _api_value(k, v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_api_value(key, each) if isinstance(each, dict) else each for each in value]
    if key in ("ebsOptimized", "encrypted", "deleteOnTermination", "associatePublicIpAddress"):
        return value in (True, "true")
    return value
