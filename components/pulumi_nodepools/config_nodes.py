"""What a node is, in the stack's YAML: the pool's defaults and what a version says instead."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from pulumi_nodepools import config_checks as checks
from pulumi_nodepools.bootstrap import FAMILIES, OsFamily, PartType, UserPart
from pulumi_nodepools.config_files import with_content
from pulumi_nodepools.config_model import Count, Model, Switch, Text, some

SubnetId = Annotated[Text, AfterValidator(partial(checks.aws_id, "subnet"))]
SecurityGroupId = Annotated[Text, AfterValidator(partial(checks.aws_id, "sg"))]
Labels = dict[Annotated[Text, AfterValidator(checks.label_key)], Annotated[Text, AfterValidator(checks.label_value)]]
Tags = dict[Annotated[Text, AfterValidator(checks.tag_key)], Annotated[Text, Field(max_length=256)]]


class RootVolumeConfig(Model):
    size: Annotated[Count, Field(ge=8, le=16384)] | None = Field(
        default=None, description="GiB; 80 if it is not written"
    )
    type: Literal["gp3", "io2"] | None = Field(default=None, description="the kind of volume; gp3 if it is not written")
    iops: Annotated[Count, Field(ge=100, le=256000)] | None = Field(
        default=None, description="operations per second; what AWS gives if it is not written"
    )
    kms_key_id: Text | None = Field(
        default=None, description="the key that encrypts it; AWS's own if it is not written"
    )
    device: Annotated[Text, Field(pattern=r"^/dev/\w+$")] | None = Field(
        default=None, description="the image's root device; the family's usual one if it is not written"
    )


class KubeletConfig(Model):
    arguments: tuple[Annotated[Text, AfterValidator(checks.kubelet_argument)], ...] = Field(
        default=(), description="more arguments for kubelet, such as --max-pods=50"
    )


class KernelConfig(Model):
    arguments: Annotated[
        tuple[Annotated[Text, AfterValidator(checks.kernel_argument)], ...], AfterValidator(checks.kernel_arguments)
    ] = Field(
        default=(),
        description="arguments that a node must be running with before it joins, such as cgroup.memory=nokmem",
    )
    minimum_version: Annotated[Text, AfterValidator(checks.kernel_version)] | None = Field(
        default=None, description="the lowest kernel that may join, as `uname -r` writes it"
    )


class UserPartConfig(Model):
    """A part of the user's own; `content` holds the text of `file` where that was given."""

    type: PartType = Field(description="cloud-config, shell-script, boothook, or settings (of Bottlerocket)")
    name: Text = Field(description="a name of its own, such as ntp")
    content: Text = Field(description="the text itself; or write file in its place")
    file: Text | None = Field(default=None, description="a file that holds the text, relative to the stack's folder")

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        return with_content(value, (info.context or {}).get("folder", Path()))

    @model_validator(mode="after")
    def _judge(self) -> Self:
        checks.user_part(self.part)
        return self

    @property
    def part(self) -> UserPart:
        return UserPart(self.type, self.name, self.content)


class UserDataConfig(Model):
    parts: tuple[UserPartConfig, ...] = Field(default=(), description="run in this order before the node joins")


class NodeConfig(Model):
    """What a node is, apart from its image: set on the pool, and overridden whole per key by a version."""

    instance_type: Annotated[Text, AfterValidator(checks.instance_type)] | None = Field(
        default=None, description="the EC2 instance type, such as m5.2xlarge; required on the pool or on every version"
    )
    subnet_ids: Annotated[tuple[SubnetId, ...], BeforeValidator(some)] | None = Field(
        default=None, description="where nodes are started; required like instanceType"
    )
    security_group_ids: Annotated[tuple[SecurityGroupId, ...], BeforeValidator(some)] | None = Field(
        default=None, description="the firewalls of the nodes; required like instanceType"
    )
    instance_profile: Annotated[Text, Field(min_length=1)] | None = Field(
        default=None, description="name or ARN of an instance profile that is there already; or write rolePolicies"
    )
    role_policies: tuple[Annotated[Text, AfterValidator(checks.policy_arn)], ...] | None = Field(
        default=None,
        description="ARNs of policies for a role that is made for each version; [] for none beside its own rights",
    )
    labels: Labels | None = Field(default=None, description="labels that nodes register with")
    taints: tuple[Annotated[Text, AfterValidator(checks.taint)], ...] | None = Field(
        default=None, description="taints that nodes register with, such as example.com/gpu=true:NoSchedule"
    )
    tags: Annotated[Tags, Field(max_length=40)] | None = Field(
        default=None, description="AWS tags of group, template, instances and volumes"
    )
    root_volume: RootVolumeConfig | None = Field(default=None, description="the root volume of a node")
    kubelet: KubeletConfig | None = Field(default=None, description="what kubelet is told beside what joining needs")
    user_data: UserDataConfig | None = Field(default=None, description="parts of your own in the nodes' user data")
    zones: Literal["spread", "each"] | None = Field(
        default=None, description="spread (one group over all zones) or each (a group per zone, for zonal volumes)"
    )
    spot: Switch | None = Field(default=None, description="whether nodes are spot instances, which EC2 may take back")
    associate_public_ip: Switch | None = Field(default=None, description="whether nodes get a public address")
    startup_taint: Switch | None = Field(
        default=None, description="nodes register with a taint that startupValidator takes away once they are proved"
    )


class CanaryConfig(Model):
    count: Annotated[Count, Field(ge=1)] = Field(default=1, description="how many tainted nodes try the version")


class VersionConfig(NodeConfig):
    image_id: Annotated[Text, AfterValidator(checks.image)] = Field(description="the AMI, by its id (ami-...)")
    os_family: OsFamily = Field(description=f"the operating system's family: {', '.join(FAMILIES)}")
    kernel: KernelConfig = Field(
        default=KernelConfig(), description="what a node must prove of its kernel before it joins"
    )
    canary: CanaryConfig | None = Field(
        default=None, description="the version is only tried, on a small group of its own"
    )
    retired: Switch = Field(default=False, description="drained, its group kept at 0 nodes")
