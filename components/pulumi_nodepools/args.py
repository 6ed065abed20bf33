"""Arguments of the components, and how they follow from the stack's YAML.

Ids, addresses and profiles may be outputs of other resources. Whatever stands in a logical name, decides a branch or
is looked up before anything is registered is plain. Nothing here registers a resource.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pulumi

from pulumi_nodepools import config_checks as checks
from pulumi_nodepools import names
from pulumi_nodepools.autoscaler_tags import node_template
from pulumi_nodepools.bootstrap import EksJoin, KubeadmJoin, OsFamily, UserPart
from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.config import AdoptConfig, PoolConfig
from pulumi_nodepools.config_cluster import ClusterConfig, EksAccessConfig, KubeadmJoinConfig
from pulumi_nodepools.config_nodes import RootVolumeConfig, VersionConfig
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.lifecycle import State, contradictions, state_of
from pulumi_nodepools.soak_args import SoakArgs
from pulumi_nodepools.survey import Survey


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """The cluster that nodes join. `region` is where its nodes run."""

    name: str
    endpoint: pulumi.Input[str]
    certificate_authority: pulumi.Input[str]
    join: KubeadmJoin | EksJoin
    access: Access
    region: str

    def __post_init__(self) -> None:
        checks.require("cluster", checks.name, "cluster name", self.name)

    @classmethod
    def from_config(cls, config: ClusterConfig, region: str) -> "ClusterArgs":
        """The same from YAML; an EKS access without a name means the cluster itself."""
        join = config.join
        return cls(
            name=config.name,
            endpoint=config.endpoint,
            certificate_authority=config.certificate_authority,
            join=KubeadmJoin(
                token_parameter=join.token_parameter or "",
                token_secret=join.token_secret or "",
                ca_cert_hashes=join.ca_cert_hashes,
            )
            if isinstance(join, KubeadmJoinConfig)
            else EksJoin(service_cidr=join.service_cidr or "", access_entry=join.access_entry),
            access=_access(config, region),
            region=region,
        )


def _access(config: ClusterConfig, region: str) -> Access:
    access = config.access
    known = Access(kind=access.kind, profile=access.profile, role_arn=access.role_arn)
    if isinstance(access, EksAccessConfig):
        return replace(known, cluster_name=access.cluster_name or config.name, region=access.region or region)
    return replace(known, path=access.path, context=access.context)


@dataclass(frozen=True, kw_only=True)
class RootVolumeArgs:
    """The root volume; what is None takes the default at creation (80 GiB, gp3, the usual root device)."""

    size: int | None = None
    type: str | None = None
    iops: int | None = None
    kms_key_id: pulumi.Input[str] | None = None
    device: str | None = None

    @classmethod
    def from_config(cls, config: RootVolumeConfig | None) -> "RootVolumeArgs":
        return cls(**config.model_dump()) if config else cls()


@dataclass(frozen=True, kw_only=True)
class NodeArgs:
    """What one node of a version is. None and empty mean: not written.

    Give `instance_profile` (name or ARN), or `role_policies` and a role with a profile is created for the version.
    `subnet_ids` are plain for BlueGreenNodePool, which looks them up before it registers anything.
    """

    image_id: pulumi.Input[str]
    instance_type: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_ids: Sequence[pulumi.Input[str]]
    os_family: OsFamily = "el7"
    kernel_arguments: Sequence[str] = ()
    minimum_kernel: str | None = None
    instance_profile: pulumi.Input[str] | None = None
    role_policies: Sequence[pulumi.Input[str]] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[str] = ()
    tags: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    root_volume: RootVolumeArgs = RootVolumeArgs()
    kubelet_arguments: Sequence[str] = ()
    user_parts: Sequence[UserPart] = ()
    zones: Literal["spread", "each"] = "spread"
    spot: bool = False
    associate_public_ip: bool = False
    startup_taint: bool = False
    """Register with the startup taint, for StartupValidator to take away."""

    def __post_init__(self) -> None:
        if (self.instance_profile is None) == (self.role_policies is None):
            raise ConfigError(
                "give either instance_profile or role_policies ([] creates a role without extra policies)"
            )
        rules: tuple[tuple[str, Any, Any], ...] = (
            ("labels", checks.label_key, self.labels),
            ("labels", checks.label_value, self.labels.values()),
            ("taints", checks.taint, self.taints),
            ("tags", checks.tag_key, self.tags),
            ("kernel_arguments", checks.kernel_argument, self.kernel_arguments),
            ("kubelet_arguments", checks.kubelet_argument, self.kubelet_arguments),
            ("user_parts", checks.user_part, self.user_parts),
        )
        for what, judge, values in rules:
            for value in values:
                checks.require(what, judge, value)
        checks.require("kernel_arguments", checks.kernel_arguments, self.kernel_arguments)
        checks.require("user_parts", checks.user_parts, self.user_parts, self.kernel_arguments, self.os_family)
        checks.require("os_family", checks.proved_by_somebody, self.os_family, self.startup_taint)

    @classmethod
    def from_config(cls, pool: PoolConfig, version: str) -> "NodeArgs":
        """One listed version, with the pool's defaults under it."""
        node, own = pool.node(version), pool.versions[version]
        return cls(
            image_id=own.image_id,
            os_family=own.os_family,
            kernel_arguments=own.kernel.arguments,
            minimum_kernel=own.kernel.minimum_version,
            instance_type=str(node.instance_type),
            subnet_ids=node.subnet_ids or (),
            security_group_ids=node.security_group_ids or (),
            instance_profile=node.instance_profile,
            role_policies=node.role_policies,
            labels=node.labels or {},
            taints=node.taints or (),
            tags=node.tags or {},
            root_volume=RootVolumeArgs.from_config(node.root_volume),
            kubelet_arguments=node.kubelet.arguments if node.kubelet else (),
            user_parts=pool.parts(version),
            zones=node.zones or "spread",
            spot=bool(node.spot),
            associate_public_ip=bool(node.associate_public_ip),
            startup_taint=bool(node.startup_taint),
        )


@dataclass(frozen=True, kw_only=True)
class SizeArgs:
    """Numbers of nodes over all zones. `desired` counts at creation only: it is the autoscaler's afterwards."""

    min: int
    max: int
    desired: int

    def __post_init__(self) -> None:
        if not 0 <= self.min <= self.desired <= self.max:
            raise ConfigError(
                f"size: min {self.min}, desired {self.desired}, max {self.max}; 0 <= min <= desired <= max"
            )


@dataclass(frozen=True, kw_only=True)
class GateArgs:
    """How long the readiness gate waits (seconds) and how many good checks in a row it wants."""

    timeout: float = 1800.0
    consecutive: int = 3
    interval: float = 10.0


@dataclass(frozen=True, kw_only=True)
class NodePoolArgs:
    """One immutable version of a pool, or its canary: then `version` is `names.canary_name` of it.

    `zone_subnets` maps each zone to its subnets and is needed for `zones: each`; `zone_sizes` are the nodes that each
    zone is to begin with, as far as `size` allows: an even share if left out. Templates and groups depend on `lock`;
    groups also on `group_depends_on`, so that none of those goes before the drain.
    """

    cluster: ClusterArgs
    pool: str
    version: str
    nodes: NodeArgs
    size: SizeArgs
    account: str = "*"
    zone_subnets: Mapping[str, Sequence[pulumi.Input[str]]] | None = None
    zone_sizes: Mapping[str, int] = field(default_factory=dict)
    target_group_arns: Sequence[pulumi.Input[str]] = ()
    lock: pulumi.Resource | None = None
    group_depends_on: Sequence[pulumi.Resource] = ()
    state: State = "active"

    def __post_init__(self) -> None:
        each = self.nodes.zones == "each"
        checks.require("pool", checks.pool_name, self.pool)
        checks.require("version", checks.name, "version name", self.version)
        checks.require("names", _combined, self.cluster.name, self.pool, self.version, each)
        if each and not self.zone_subnets:
            raise ConfigError('zones "each" needs zone_subnets: a map from each zone to its subnets')
        self.autoscaler_tags()

    def autoscaler_tags(self) -> dict[str, str]:
        """What the cluster autoscaler is told of nodes that are not there yet; nothing where it is not asked to."""
        nodes = self.nodes
        return node_template(self.pool, self.version, labels=nodes.labels, taints=nodes.taints, tags=[*nodes.tags])


def _combined(cluster: str, pool: str, version: str, each: bool) -> None:
    checks.combined_names(cluster, pool, version, per_zone=each)


@dataclass(frozen=True, kw_only=True)
class BlueGreenNodePoolArgs:
    """A pool with its listed versions and the one that takes workloads. `initial` is the size of a first version.

    `canaries` maps versions to the number of nodes to try them on; `retired` versions are kept at 0; whatever else is
    listed and not active stands by. `adopted` maps the version that an existing Auto Scaling group stands for to the
    group's name: it is served from, drained, kept or emptied like any other, and never created, changed or deleted.
    """

    cluster: ClusterArgs
    pool: str
    active: str
    versions: Mapping[str, NodeArgs]
    canaries: Mapping[str, int] = field(default_factory=dict)
    adopted: Mapping[str, str] = field(default_factory=dict)
    retired: Sequence[str] = ()
    min_size: int
    max_size: int
    initial_size: int | None = None
    drain: DrainSettings = field(default_factory=DrainSettings)
    gate: GateArgs = GateArgs()
    smoke_test: str | None = None
    soak: SoakArgs | None = None
    """With it, a version that does not exist yet becomes active only once its soak is passed."""
    target_group_arns: Sequence[pulumi.Input[str]] = ()
    differences: Sequence[str] = ()
    """What a new version may have other than the one that serves, beside image, kernel, family and taints."""
    group_depends_on: Sequence[pulumi.Resource] = ()
    found: Survey | None = None
    """What `surveyed` has found; without it the component looks by itself when it is made."""

    def __post_init__(self) -> None:
        checks.require("pool", checks.pool_name, self.pool)
        known = (*self.versions, *self.adopted)
        listed = ", ".join(checks.shown(version) for version in known) or "none"
        if self.active not in known:
            raise ConfigError(f"pool {self.pool}: active {checks.shown(self.active)} is not listed; listed: {listed}")
        unknown = sorted({*self.canaries, *self.retired} - {*known})
        if unknown:
            raise ConfigError(f"pool {self.pool}: canaries or retired name {unknown[0]}, which is not listed: {listed}")
        twice = sorted({*self.adopted} & {*self.versions, *self.canaries})
        if twice:
            raise ConfigError(
                f"pool {self.pool}: {twice[0]} is adopted and cannot be a version or canary of its own too"
            )
        for version in known:
            checks.require(f"pool {self.pool}", checks.name, "version name", version)
            self._check_version(version)

    def _check_version(self, version: str) -> None:
        if version.endswith(names.CANARY_SUFFIX):
            raise ConfigError(f"pool {self.pool}: {version} ends in {names.CANARY_SUFFIX}, as canaries are called")
        if self.canaries.get(version, 1) < 1:
            raise ConfigError(f"pool {self.pool}: a canary of {self.canaries[version]} nodes; write 1 or more")
        if version in self.canaries:
            checks.require(f"pool {self.pool}", checks.name, "canary's name", names.canary_name(version))
        for key, text in contradictions(**self._asked(version)):
            raise ConfigError(f"pool {self.pool}: {key} of {version} {text}")
        nodes = self.versions.get(version)
        if nodes and not all(isinstance(subnet, str) for subnet in nodes.subnet_ids):
            raise ConfigError(
                f"pool {self.pool}: subnet_ids must be plain text, they are looked up before anything is created; "
                "take them from configuration"
            )

    def _asked(self, version: str) -> dict[str, bool]:
        return {
            "active": version == self.active,
            "canary": version in self.canaries,
            "retired": version in self.retired,
        }

    @property
    def states(self) -> dict[str, State]:
        """Each listed version with the state that is asked for."""
        return {version: state_of(**self._asked(version)) for version in (*self.versions, *self.adopted)}

    @classmethod
    def from_config(
        cls,
        cluster: ClusterArgs,
        pool: str,
        config: PoolConfig,
    ) -> "BlueGreenNodePoolArgs":
        """One pool of the stack's YAML."""
        drain = config.drain.model_dump(by_alias=True)
        return cls(
            cluster=cluster,
            pool=pool,
            active=config.active,
            versions={version: NodeArgs.from_config(config, version) for version in config.versions},
            canaries={name: own.canary.count for name, own in config.versions.items() if own.canary is not None},
            adopted={config.adopt.version: config.adopt.auto_scaling_group} if config.adopt else {},
            retired=[name for name, own in _switches(config).items() if own.retired],
            min_size=config.size.min,
            max_size=config.size.max,
            initial_size=config.size.initial,
            drain=DrainSettings.from_props(drain),
            gate=GateArgs(**config.gate.model_dump()),
            smoke_test=config.smoke_test,
            differences=config.differences,
            soak=config.soak.args() if config.soak else None,
            target_group_arns=config.target_group_arns,
        )


def _switches(config: PoolConfig) -> Mapping[str, VersionConfig | AdoptConfig]:
    return {**config.versions, **({config.adopt.version: config.adopt} if config.adopt else {})}
