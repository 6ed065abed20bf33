"""The stack's YAML as models: `nodepools:cluster` and `nodepools:pools`, checked offline and all at once.

Plain values only: nothing here knows Pulumi outputs, AWS or the cluster, and nothing is looked up but files that the
YAML names. Single values are
judged by config_checks, the rules between values and the wording of errors are in config_errors.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from pulumi_nodepools import config_checks as checks
from pulumi_nodepools import units
from pulumi_nodepools.bootstrap import FAMILIES, OsFamily, PartType, UserPart
from pulumi_nodepools.config_errors import explain, rules_between
from pulumi_nodepools.config_files import with_content
from pulumi_nodepools.config_model import Count, Duration, Model, Switch, Text
from pulumi_nodepools.config_soak import SoakConfig
from pulumi_nodepools.drain.acknowledge import require_entry
from pulumi_nodepools.drain.rules import Rule
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.replica import replica_field

# pydantic turns only ValueError into one of its findings, so wrong types are ValueErrors here (TRY004).


class ConfigSource(Protocol):
    """What `pulumi.Config("nodepools")` offers and `load` needs."""

    def get_object(self, key: str) -> Any: ...


def _batch_size(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{checks.shown(value)} is not a batch size; write a count (2) or a share (10%)")  # noqa: TRY004
    try:
        units.share("", value, 100)
    except ConfigError as error:
        raise ValueError(str(error).removeprefix(": ")) from None
    return str(value)


def _acknowledged(value: str) -> str:
    try:
        return require_entry(value)
    except ConfigError as error:
        raise ValueError(str(error).removeprefix("drain.acknowledge: ")) from None


def _some(value: Any) -> Any:
    # Not min_length: that one counts valid items only, and would call a list of one wrong item empty.
    if value in ([], (), {}):
        raise ValueError("is empty; list at least one")
    return value


PoolName = Annotated[str, BeforeValidator(partial(checks.name, "pool name"))]
VersionName = Annotated[str, BeforeValidator(partial(checks.name, "version name"))]
ClusterName = Annotated[str, BeforeValidator(partial(checks.name, "cluster name"))]
SubnetId = Annotated[Text, AfterValidator(partial(checks.aws_id, "subnet"))]
SecurityGroupId = Annotated[Text, AfterValidator(partial(checks.aws_id, "sg"))]
Labels = dict[Annotated[Text, AfterValidator(checks.label_key)], Annotated[Text, AfterValidator(checks.label_value)]]
Tags = dict[Annotated[Text, AfterValidator(checks.tag_key)], Annotated[Text, Field(max_length=256)]]


class KubeadmJoinConfig(Model):
    kind: Literal["kubeadm"]
    token_parameter: Annotated[Text, AfterValidator(checks.token_parameter)] | None = Field(
        None, description="the name of the SSM parameter that holds the join token, such as /nodepools/prod/join-token"
    )
    token_secret: Annotated[Text, AfterValidator(checks.token_secret)] | None = Field(
        None, description="the name of the Secrets Manager secret that holds it instead, such as nodepools/prod/join"
    )
    ca_cert_hashes: Annotated[
        tuple[Annotated[Text, AfterValidator(checks.ca_cert_hash)], ...], BeforeValidator(_some)
    ] = Field(description='the pins of the cluster\'s CA, such as ["sha256:..."]')

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.token_parameter is None) == (self.token_secret is None):
            raise ValueError(
                "the join token has one place; write tokenParameter (the name of an SSM parameter, such as "
                "/nodepools/prod/join-token) or tokenSecret (the name of a Secrets Manager secret), one of the two"
            )
        return self


class EksJoinConfig(Model):
    kind: Literal["eks"]
    service_cidr: Annotated[Text, AfterValidator(checks.network)] | None = None


class KubeconfigAccessConfig(Model):
    kind: Literal["kubeconfig"]
    path: Text | None = None
    context: Text | None = None


class EksAccessConfig(Model):
    kind: Literal["eks"]
    cluster_name: Text | None = None
    region: Text | None = None
    profile: Text | None = None
    role_arn: Text | None = None


class ClusterConfig(Model):
    name: ClusterName = Field(description="the cluster's name, such as prod")
    endpoint: Annotated[Text, AfterValidator(checks.endpoint)] = Field(
        description="the API server as nodes reach it, such as https://api.example.com:6443"
    )
    certificate_authority: Annotated[Text, AfterValidator(checks.certificate_authority)] = Field(
        description="base64 of the cluster's CA certificate, as in certificate-authority-data of a kubeconfig"
    )
    join: Annotated[KubeadmJoinConfig | EksJoinConfig, Field(discriminator="kind")] = Field(
        description="how nodes join: {kind: kubeadm, tokenParameter: ..., caCertHashes: [...]} or {kind: eks}"
    )
    access: Annotated[KubeconfigAccessConfig | EksAccessConfig, Field(discriminator="kind")] = Field(
        description="how the drain reaches the cluster: {kind: kubeconfig} or {kind: eks}"
    )


class RootVolumeConfig(Model):
    size: Annotated[Count, Field(ge=8, le=16384)] | None = None
    type: Literal["gp3", "io2"] | None = None
    iops: Annotated[Count, Field(ge=100, le=256000)] | None = None
    kms_key_id: Text | None = None
    device: Annotated[Text, Field(pattern=r"^/dev/\w+$")] | None = None


class KubeletConfig(Model):
    arguments: tuple[Annotated[Text, AfterValidator(checks.kubelet_argument)], ...] = ()


class KernelConfig(Model):
    arguments: Annotated[
        tuple[Annotated[Text, AfterValidator(checks.kernel_argument)], ...], AfterValidator(checks.kernel_arguments)
    ] = ()
    minimum_version: Annotated[Text, AfterValidator(checks.kernel_version)] | None = None


class UserPartConfig(Model):
    """A part of the user's own; `content` holds the text of `file` where that was given."""

    type: PartType = Field(description="cloud-config, shell-script or boothook")
    name: Text = Field(description="a name of its own, such as ntp")
    content: Text
    file: Text | None = None

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
    parts: tuple[UserPartConfig, ...] = ()


class NodeConfig(Model):
    """What a node is, apart from its image: set on the pool, and overridden whole per key by a version."""

    instance_type: Annotated[Text, AfterValidator(checks.instance_type)] | None = None
    subnet_ids: Annotated[tuple[SubnetId, ...], BeforeValidator(_some)] | None = None
    security_group_ids: Annotated[tuple[SecurityGroupId, ...], BeforeValidator(_some)] | None = None
    instance_profile: Annotated[Text, Field(min_length=1)] | None = None
    role_policies: tuple[Annotated[Text, AfterValidator(checks.policy_arn)], ...] | None = None
    labels: Labels | None = None
    taints: tuple[Annotated[Text, AfterValidator(checks.taint)], ...] | None = None
    tags: Annotated[Tags, Field(max_length=40)] | None = None
    root_volume: RootVolumeConfig | None = None
    kubelet: KubeletConfig | None = None
    user_data: UserDataConfig | None = None
    zones: Literal["spread", "each"] | None = None
    associate_public_ip: Switch | None = None
    startup_taint: Switch | None = None


class CanaryConfig(Model):
    count: Annotated[Count, Field(ge=1)] = 1


class VersionConfig(NodeConfig):
    image_id: Annotated[Text, AfterValidator(checks.image)] = Field(description="the AMI, by its id (ami-...)")
    os_family: OsFamily = Field(description=f"the operating system's family: {', '.join(FAMILIES)}")
    kernel: KernelConfig = KernelConfig()
    canary: CanaryConfig | None = None
    retired: Switch = False


class SizeConfig(Model):
    min: Annotated[Count, Field(ge=0)] = Field(description="the fewest nodes the pool may have")
    max: Annotated[Count, Field(ge=1)] = Field(description="the most nodes the pool may have")
    initial: Annotated[Count, Field(ge=0)] | None = None


class ForceConfig(Model):
    pod_age: Duration = 0.0
    siblings_ready: Duration = 0.0
    interval: Duration = 0.0


class DrainRuleConfig(Model):
    pods: Text = "*"
    labels: Labels = Field(default_factory=dict)
    do: Literal["drain", "skip", "wait-completed"] = "drain"
    order: Annotated[Count, Field(ge=-1000, le=1000)] = 0

    @model_validator(mode="after")
    def _usable(self) -> "DrainRuleConfig":
        try:
            Rule.from_props(self.model_dump())
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("drain.rules: ")) from None
        return self


class DrainConfig(Model):
    batch_size: Annotated[str, BeforeValidator(_batch_size)] = "10%"
    timeout: Duration = 1800.0
    total_timeout: Duration = 21600.0
    on_timeout: Literal["fail", "skip", "force"] = "fail"
    batch_soak: Duration = 0.0
    detach_timeout: Duration = 600.0
    load_balancers: Literal["deregister", "label"] = "deregister"
    deregistration_timeout: Duration = 300.0
    nlb_settle: Duration = 120.0
    unbudgeted: Literal["paced", "all"] = "paced"
    empty_dir: Literal["allow", "block"] = "allow"
    bare_pods: Literal["block", "allow"] = "block"
    jobs: Literal["evict", "wait"] = "evict"
    force: ForceConfig = ForceConfig()
    acknowledge: tuple[Annotated[Text, AfterValidator(_acknowledged)], ...] = ()
    rules: tuple[DrainRuleConfig, ...] = ()


class GateConfig(Model):
    timeout: Duration = 1800.0
    consecutive: Annotated[Count, Field(ge=1, le=100)] = 3
    interval: Duration = 10.0


class StartupValidatorConfig(Model):
    image: Annotated[Text, AfterValidator(checks.pinned_image)] = Field(
        description="a Python image, pinned by digest, such as python:3.12-slim@sha256:..."
    )


class AdoptConfig(Model):
    """A group that exists already and is made somewhere else: the pool's first version."""

    auto_scaling_group: Annotated[Text, Field(min_length=1, max_length=255)] = Field(
        description="the name of the existing Auto Scaling group"
    )
    version: VersionName = "adopted"
    retired: Switch = False


class PoolConfig(NodeConfig):
    active: VersionName = Field(description="the version that takes workloads, in quotes")
    size: SizeConfig = Field(description="{min: 3, max: 20, initial: 14}")
    versions: dict[VersionName, VersionConfig] = Field(
        description='a map of versions, such as {"7.7.1908": {imageId: ami-..., osFamily: el7}}'
    )
    target_group_arns: tuple[Annotated[Text, AfterValidator(checks.target_group)], ...] = ()
    drain: DrainConfig = DrainConfig()
    gate: GateConfig = GateConfig()
    soak: SoakConfig | None = None
    smoke_test: Annotated[Text, Field(min_length=1)] | None = None
    startup_validator: StartupValidatorConfig | None = None
    adopt: AdoptConfig | None = None
    differences: tuple[Annotated[Text, AfterValidator(replica_field)], ...] = ()

    @model_validator(mode="after")
    def _judge_parts(self) -> Self:
        for name, version in self.versions.items():
            try:
                checks.user_parts(self.parts(name), version.kernel.arguments, version.os_family)
                checks.proved_by_somebody(version.os_family, bool(self.node(name).startup_taint))
            except ValueError as error:
                raise ValueError(f"version {name}: {error}") from None
        return self

    def parts(self, version: str) -> tuple[UserPart, ...]:
        """The user's own parts of a version's user data."""
        data = self.node(version).user_data
        return tuple(each.part for each in data.parts) if data else ()

    @model_validator(mode="after")
    def _somebody_takes_the_taint_away(self) -> Self:
        tainted = [version for version in self.versions if self.node(version).startup_taint]
        if tainted and self.startup_validator is None:
            raise ValueError(
                f"version {tainted[0]} has startupTaint, and nobody would take it away; "
                "write startupValidator: {image: python:3.12-slim@sha256:...}"
            )
        return self

    def node(self, version: str) -> NodeConfig:
        """The version's own settings over the pool's; a key that a version sets replaces the pool's value whole."""
        own = self.versions[version]
        values = {field: getattr(self, field) for field in NodeConfig.model_fields}
        changed = {field for field in NodeConfig.model_fields if getattr(own, field) is not None}
        if changed & {"instance_profile", "role_policies"}:
            values |= {"instance_profile": None, "role_policies": None}
        return NodeConfig.model_construct(**values | {field: getattr(own, field) for field in changed})


class StackConfig(Model):
    cluster: ClusterConfig = Field(
        description="nodepools:cluster with name, endpoint, certificateAuthority, join and access"
    )
    pools: dict[PoolName, PoolConfig] = Field(
        description="nodepools:pools with a map of pools ({} when there are none)"
    )


def load(config: ConfigSource) -> StackConfig:
    """The stack's configuration; ConfigError lists everything that is wrong with it, each by its path.

    Files that it names are looked for in the working directory, which is the stack's in a Pulumi program.
    """
    return parse({key: value for key in ("cluster", "pools") if (value := _read(config, key)) is not None})


def parse(raw: Mapping[str, Any], folder: Path = Path()) -> StackConfig:
    """Models from plain data; ConfigError lists everything that is wrong, each with path, value and fix.

    Files that it names are looked for in `folder`.
    """
    problems = rules_between(raw)
    try:
        parsed = StackConfig.model_validate(dict(raw), context={"folder": folder})
    except ValidationError as error:
        problems = explain(StackConfig, error.errors(include_url=False)) + problems
    if problems:
        lines = "\n".join(f"  {path}: {text}" for path, text in dict.fromkeys(problems))
        raise ConfigError(f"the stack's configuration cannot be used, nothing was changed:\n{lines}")
    return parsed


def _read(config: ConfigSource, key: str) -> Any:
    try:
        return config.get_object(key)
    except Exception as error:  # noqa: BLE001 - Pulumi raises its own untyped error for text that is no object
        raise ConfigError(
            f"the stack's configuration cannot be used, nothing was changed:\n"
            f"  {key}: is not a map; write nodepools:{key} as nested YAML ({type(error).__name__})"
        ) from None
