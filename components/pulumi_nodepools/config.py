"""The stack's YAML as models: `nodepools:cluster` and `nodepools:pools`, checked offline and all at once.

Plain values only: nothing here knows Pulumi outputs, AWS or the cluster, and nothing is looked up but files that the
YAML names. Single values are
judged by config_checks, the rules between values and the wording of errors are in config_errors.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Protocol, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from pulumi_nodepools import config_checks as checks
from pulumi_nodepools.bootstrap import UserPart
from pulumi_nodepools.config_cluster import ClusterConfig
from pulumi_nodepools.config_drain import DrainConfig, GateConfig
from pulumi_nodepools.config_errors import explain, rules_between
from pulumi_nodepools.config_model import Count, Model, Switch, Text
from pulumi_nodepools.config_nodes import NodeConfig, VersionConfig
from pulumi_nodepools.config_soak import SoakConfig
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.replica import replica_field


class ConfigSource(Protocol):
    """What `pulumi.Config("nodepools")` offers and `load` needs."""

    def get_object(self, key: str) -> Any: ...


PoolName = Annotated[str, BeforeValidator(checks.pool_name)]
VersionName = Annotated[str, BeforeValidator(partial(checks.name, "version name"))]


class SizeConfig(Model):
    min: Annotated[Count, Field(ge=0)] = Field(description="the fewest nodes the pool may have")
    max: Annotated[Count, Field(ge=1)] = Field(description="the most nodes the pool may have")
    initial: Annotated[Count, Field(ge=0)] | None = Field(
        default=None,
        description="nodes of the very first version, min if it is not written; later ones are as large as the pool is",
    )


class StartupValidatorConfig(Model):
    image: Annotated[Text, AfterValidator(checks.pinned_image)] = Field(
        description="a Python image, pinned by digest, such as python:3.12-slim@sha256:..."
    )


class AdoptConfig(Model):
    """A group that exists already and is made somewhere else: the pool's first version."""

    auto_scaling_group: Annotated[Text, Field(min_length=1, max_length=255)] = Field(
        description="the name of the existing Auto Scaling group"
    )
    version: VersionName = Field(default="adopted", description="what the group is called as a version")
    retired: Switch = Field(default=False, description="drained, the group scaled to 0 nodes")


class PoolConfig(NodeConfig):
    active: VersionName = Field(description="the version that takes workloads, in quotes")
    size: SizeConfig = Field(description="{min: 3, max: 20, initial: 14}")
    versions: dict[VersionName, VersionConfig] = Field(
        description='a map of versions, such as {"7.7.1908": {imageId: ami-..., osFamily: el7}}'
    )
    target_group_arns: tuple[Annotated[Text, AfterValidator(checks.target_group)], ...] = Field(
        default=(), description="target groups that the nodes are put into"
    )
    drain: DrainConfig = Field(default=DrainConfig(), description="how nodes are emptied before they go")
    gate: GateConfig = Field(default=GateConfig(), description="when the nodes of a new version count as ready")
    soak: SoakConfig | None = Field(
        default=None, description="what a canary must show before its version may be active"
    )
    smoke_test: Annotated[Text, Field(min_length=1)] | None = Field(
        default=None, description="a command that is run once the new nodes are ready; if it fails, the old ones stay"
    )
    startup_validator: StartupValidatorConfig | None = Field(
        default=None, description="proves nodes from inside the cluster; needed by startupTaint"
    )
    adopt: AdoptConfig | None = Field(default=None, description="an existing group that is the pool's first version")
    differences: tuple[Annotated[Text, AfterValidator(replica_field)], ...] = Field(
        default=(), description="what the new version may have other than the one that serves, such as [instanceType]"
    )

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
    """The stack's YAML, checked: `cluster`, and `pools` by name."""

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
