"""BlueGreenNodePool: the versions of one pool, which of them takes workloads, and the edges that order a replacement.

The engine creates everything new first and deletes what is no longer listed last, in the reverse order of the edges:
lock <- template <- group <- drain hook <- readiness gate. No edge points from one version to another. What a hook or
the gate does is theirs; what a version consists of is node_pool's.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pulumi
from pulumi_aws import get_caller_identity
from pulumi_command import local

from pulumi_nodepools import names
from pulumi_nodepools.args import BlueGreenNodePoolArgs, ClusterArgs, NodeArgs, NodePoolArgs, SizeArgs
from pulumi_nodepools.bootstrap import FAMILIES, EksJoin, KubeadmJoin
from pulumi_nodepools.errors import ConfigError, IdentityError, NodePoolsError
from pulumi_nodepools.hooks.drain_hook import DrainHook
from pulumi_nodepools.hooks.readiness_gate import ReadinessGate
from pulumi_nodepools.hooks.version_lock import VersionLock
from pulumi_nodepools.node_pool import NodePool
from pulumi_nodepools.survey import survey

TOKEN = "nodepools:aws:BlueGreenNodePool"  # noqa: S105 - a type token
_DYNAMIC = "pulumi-python:dynamic/nodepools:"
_SCHEMA = 1


class BlueGreenNodePool(pulumi.ComponentResource):
    """One pool. Before anything is registered it looks at cluster and account, in previews too."""

    active: NodePool
    hook: DrainHook
    gate: ReadinessGate
    smoke_test: local.Command | None
    group_names: list[str]
    nodes: pulumi.Output[int]
    """How many nodes the active version's groups want, as last seen by the engine."""

    def __init__(self, name: str, args: BlueGreenNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = surveyed(args)
        assert args.found is not None
        self._found = args.found
        size = size_for(args, self._found.live_size)
        known = {"cluster": args.cluster.name, "pool": args.pool, "active": args.active, "versions": [*args.versions]}
        super().__init__(TOKEN, name, known, opts)
        self._args = args
        lock = self._create_lock()
        self.active = self._create_active(lock, size)
        self.hook = self._create_hook()
        self.gate = self._create_gate()
        self.smoke_test = self._create_smoke_test()
        self.group_names = self.active.group_names
        wanted = [group.desired_capacity for group in self.active.groups]
        self.nodes = pulumi.Output.all(*wanted).apply(lambda counts: sum(int(count or 0) for count in counts))
        self.register_outputs({"activeVersion": args.active, "groupNames": self.group_names, "nodes": self.nodes})

    def _named(self, suffix: str) -> str:
        return f"{names.logical_name(self._args.pool, self._args.active)}-{suffix}"

    def _create_lock(self) -> VersionLock:
        args = self._args
        props = {
            "schemaVersion": _SCHEMA,
            "pool": args.pool,
            "version": args.active,
            "spec": spec(args.cluster, args.versions[args.active]),
        }
        return VersionLock(self._named("lock"), props, pulumi.ResourceOptions(parent=self))

    def _create_active(self, lock: VersionLock, size: SizeArgs) -> NodePool:
        args = self._args
        nodes = args.versions[args.active]
        pool = NodePoolArgs(
            cluster=args.cluster,
            pool=args.pool,
            version=args.active,
            nodes=nodes,
            size=size,
            account=self._found.account,
            zone_subnets=_by_zone(nodes, self._found.subnet_zones) if nodes.zones == "each" else None,
            target_group_arns=args.target_group_arns,
            lock=lock,
            group_depends_on=args.group_depends_on,
        )
        name = names.logical_name(args.pool, args.active)
        return NodePool(name, pool, pulumi.ResourceOptions(parent=self))

    def _place(self) -> dict[str, Any]:
        """Where a hook works, written down while it is known to be right."""
        cluster = self._args.cluster
        return {
            "schemaVersion": _SCHEMA,
            "cluster": cluster.name,
            "clusterUid": self._found.cluster_uid,
            "account": self._found.account,
            "region": cluster.region,
            "access": cluster.access.to_props(),
            "pool": self._args.pool,
            "groups": [{"name": group.name, "arn": group.arn} for group in self.active.groups],
        }

    def _create_hook(self) -> DrainHook:
        args, name = self._args, self._named("drain")
        props = {
            **self._place(),
            "version": args.active,
            "drain": args.drain.to_props(),
            "urn": child_urn(self, f"{_DYNAMIC}DrainHook", name),
        }
        return DrainHook(name, props, pulumi.ResourceOptions(parent=self, depends_on=list(self.active.groups)))

    def _create_gate(self) -> ReadinessGate:
        args, name = self._args, f"{self._args.pool}-gate"
        nodes = args.versions[args.active]
        props = {
            **self._place(),
            "active": args.active,
            "kernelArguments": list(nodes.kernel_arguments),
            "minimumKernelVersion": nodes.minimum_kernel or "",
            "timeout": args.gate.timeout,
            "consecutive": args.gate.consecutive,
            "interval": args.gate.interval,
            "urn": child_urn(self, f"{_DYNAMIC}ReadinessGate", name),
        }
        before = [*self.active.groups, self.hook]
        return ReadinessGate(name, props, pulumi.ResourceOptions(parent=self, depends_on=before))

    def _create_smoke_test(self) -> local.Command | None:
        """The user's command, run anew whenever another version has become ready."""
        args = self._args
        if args.smoke_test is None:
            return None
        return local.Command(
            f"{args.pool}-smoke-test",
            create=args.smoke_test,
            environment={"NODEPOOLS_POOL": args.pool, "NODEPOOLS_VERSION": args.active},
            triggers=[self.gate.generation],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.gate]),
        )


def surveyed(args: BlueGreenNodePoolArgs) -> BlueGreenNodePoolArgs:
    """The same arguments with what account and cluster look like now; RunError says what stands in the way.

    A program with several pools calls this for all of them before it makes any resource: the engine begins to create
    as soon as one is registered, so a later refusal would come after the first change.
    """
    if args.found is not None:
        return args
    cluster = args.cluster
    try:
        found = survey(
            cluster=cluster.name,
            pool=args.pool,
            active=args.active,
            region=cluster.region,
            access=cluster.access,
            subnet_ids=[str(subnet) for subnet in args.versions[args.active].subnet_ids],
            initial=size_for(args, None).desired,
            join=cluster.join,
        )
        size_for(args, found.live_size)
        _require_account(args.pool, found.account)
    except NodePoolsError as error:
        raise pulumi.RunError(str(error)) from None
    for warning in found.warnings:
        pulumi.log.warn(warning)
    return replace(args, found=found)


def _require_account(pool: str, hooks: str) -> None:
    """The aws provider and the hooks find their credentials on their own: a mix-up must show in the preview."""
    provider = get_caller_identity().account_id
    if provider != hooks:
        raise IdentityError(
            f"pool {pool}: the aws provider uses account {provider}, but the hooks of this stack would use "
            f"account {hooks}; give both the same credentials (AWS_PROFILE, aws:profile)"
        )


def size_for(args: BlueGreenNodePoolArgs, live: int | None) -> SizeArgs:
    """As many nodes as the pool has now; the initial size when nothing serves yet. ConfigError if max is below that."""
    if live is not None and live > args.max_size:
        raise ConfigError(
            f"pools.{args.pool}.size.max: {args.max_size} is less than the {live} nodes that the pool has now; a new "
            f"version would have less capacity. Write max: {live} or more, or scale the pool down first"
        )
    initial = args.min_size if args.initial_size is None else args.initial_size
    desired = initial if live is None else live
    return SizeArgs(min=args.min_size, max=args.max_size, desired=max(desired, args.min_size))


def child_urn(parent: pulumi.Resource, token: str, name: str) -> pulumi.Output[str]:
    """The URN that a child of `parent` will have, without an edge to anything; "" if it cannot be told.

    `parent.urn` itself as an input would make the child depend on the component and all its other children.
    """

    async def compute() -> str:
        urn = await parent.urn.future()
        parts = (urn or "").split("::", 3)
        return "::".join([*parts[:2], f"{parts[2]}${token}", name]) if len(parts) == 4 else ""

    return pulumi.Output.from_input(compute())


def spec(cluster: ClusterArgs, nodes: NodeArgs) -> dict[str, Any]:
    """What the user wrote of a version, in canonical form: no defaults, so that a new release can change those."""
    join = cluster.join
    volume = nodes.root_volume
    written: dict[str, Any] = {
        "imageId": nodes.image_id,
        "osFamily": nodes.os_family,
        "instanceType": nodes.instance_type,
        "subnetIds": sorted(map(str, nodes.subnet_ids)),
        "securityGroupIds": list(nodes.security_group_ids),
        "instanceProfile": nodes.instance_profile,
        "kernel": {"arguments": list(nodes.kernel_arguments), "minimumVersion": nodes.minimum_kernel},
        "kubelet": {"arguments": list(nodes.kubelet_arguments)},
        "userData": {
            part.name: f"{number}. {part.type} {_digest(part.content)}"
            for number, part in enumerate(nodes.user_parts, start=1)
        },
        "labels": dict(nodes.labels),
        "taints": sorted(nodes.taints),
        "tags": dict(nodes.tags),
        "rootVolume": {
            "size": volume.size,
            "type": volume.type,
            "iops": volume.iops,
            "kmsKeyId": volume.kms_key_id,
            "device": volume.device,
        },
        "zones": "each" if nodes.zones == "each" else None,
        "associatePublicIp": nodes.associate_public_ip or None,
        "startupTaint": nodes.startup_taint or None,
        "cluster": {
            "endpoint": cluster.endpoint,
            # Its digest: readable in an error, and enough to see a change.
            "certificateAuthority": pulumi.Output.from_input(cluster.certificate_authority).apply(_digest),
            "join": "kubeadm" if isinstance(join, KubeadmJoin) else "eks",
            "tokenParameter": (join.token_parameter or None) if isinstance(join, KubeadmJoin) else None,
            "tokenSecret": (join.token_secret or None) if isinstance(join, KubeadmJoin) else None,
            # Only where it matters: adding it for a new family must not change versions that are there.
            "serviceCidr": join.service_cidr
            if isinstance(join, EksJoin) and FAMILIES[nodes.os_family].needs_service_cidr
            else None,
            "caCertHashes": sorted(join.ca_cert_hashes) if isinstance(join, KubeadmJoin) else None,
        },
    }
    return _without_empty(written)


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: _without_empty(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    # Outputs have no truth value, and are always something that was written.
    return {
        key: value for key, value in kept.items() if isinstance(value, pulumi.Output) or value not in (None, [], {})
    }


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]


def _by_zone(nodes: NodeArgs, zones: Mapping[str, str]) -> dict[str, list[pulumi.Input[str]]]:
    found: dict[str, list[pulumi.Input[str]]] = {}
    for subnet in nodes.subnet_ids:
        found.setdefault(zones[str(subnet)], []).append(subnet)
    return found
