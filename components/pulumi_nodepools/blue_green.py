"""BlueGreenNodePool: the versions of one pool, which of them takes workloads, and the edges that order a replacement.

The engine creates everything new first and deletes what is no longer listed last, in the reverse order of the edges:
lock <- template <- group <- drain hook <- readiness gate <- smoke test <- cutover. No edge points from one version to
another. What a hook, the gate or the cutover does is theirs; what a version consists of is node_pool's.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pulumi
from pulumi_aws import get_caller_identity
from pulumi_command import local

from pulumi_nodepools import names, preview
from pulumi_nodepools.args import BlueGreenNodePoolArgs, NodeArgs, NodePoolArgs, SizeArgs
from pulumi_nodepools.errors import ConfigError, IdentityError, NodePoolsError
from pulumi_nodepools.hooks.cutover import Cutover
from pulumi_nodepools.hooks.drain_hook import DrainHook
from pulumi_nodepools.hooks.readiness_gate import ReadinessGate
from pulumi_nodepools.hooks.soak_gate import SoakGate
from pulumi_nodepools.hooks.version_lock import VersionLock
from pulumi_nodepools.lifecycle import State, require_possible
from pulumi_nodepools.node_pool import NodePool
from pulumi_nodepools.node_role import principals
from pulumi_nodepools.promotion import create_soak_gate
from pulumi_nodepools.survey import SurveyArgs, survey
from pulumi_nodepools.urns import DYNAMIC, child_urn
from pulumi_nodepools.user_data import require_renderable
from pulumi_nodepools.version_groups import VersionGroups
from pulumi_nodepools.version_spec import planned, require_like_serving, spec, written

TOKEN = "nodepools:aws:BlueGreenNodePool"  # noqa: S105 - a type token
_SCHEMA = 1


class BlueGreenNodePool(pulumi.ComponentResource):
    """One pool. Before anything is registered it looks at cluster and account, in previews too."""

    active: NodePool | None
    """None while an adopted group is active."""
    pools: dict[str, NodePool]
    """Every listed version with its full groups: the active one, those that stand by, the retired ones."""
    canaries: dict[str, NodePool]
    hook: DrainHook | None
    gate: ReadinessGate
    cutover: Cutover
    smoke_test: local.Command | None
    soak_gate: SoakGate | None
    group_names: list[str]
    nodes: pulumi.Output[int]
    """How many nodes the active version's groups want, as last seen by the engine."""

    def __init__(self, name: str, args: BlueGreenNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = surveyed(args)
        assert args.found is not None
        self._found = args.found
        known = {"cluster": args.cluster.name, "pool": args.pool, "active": args.active, "versions": [*args.states]}
        super().__init__(TOKEN, name, known, opts)
        self._args = args
        self._states = args.states
        self.pools, self.canaries, hooks = {}, {}, {}
        self.soak_gate = create_soak_gate(args, self._found, self)
        for version, state in self._states.items():
            if version in args.adopted:
                continue
            lock = self._create_lock(version)
            if state == "canary":
                self.canaries[version] = self._create_canary(version, lock)
            else:
                self.pools[version] = self._create_nodes(version, lock, self._size(state))
                hooks[version] = self._create_hook(self.pools[version], version)
        self.active, self.hook = self.pools.get(args.active), hooks.get(args.active)
        self._served = self._serving_groups()
        self.gate = self._create_gate(self._served, args.active, f"{args.pool}-gate", self.hook)
        self.smoke_test = self._create_smoke_test()
        self.cutover = self._create_cutover()
        self.group_names = self._served.names
        self.nodes = self._served.nodes
        self.register_outputs({"activeVersion": args.active, "groupNames": self.group_names, "nodes": self.nodes})

    def _named(self, version: str, suffix: str) -> str:
        return f"{names.logical_name(self._args.pool, version)}-{suffix}"

    def _serving_groups(self) -> VersionGroups:
        args = self._args
        if self.active is not None:
            return VersionGroups.made(self.active)
        return VersionGroups.seen(self._found.existing[args.active], args.group_depends_on)

    def _size(self, state: State) -> SizeArgs:
        """Of full groups. Those not active exist and keep their sizes; were one made anew, it would be empty."""
        if state == "active":
            return size_for(self._args, self._found.live_size)
        return SizeArgs(min=0, max=self._args.max_size, desired=0)

    def _create_lock(self, version: str) -> VersionLock:
        """One for a version and its canary: what was tried is what is promoted."""
        args = self._args
        props = {
            "schemaVersion": _SCHEMA,
            "pool": args.pool,
            "version": version,
            "spec": spec(args.cluster, args.versions[version]),
        }
        # Nothing of a version is made before its soak is passed; a canary is there to pass it.
        first = [self.soak_gate] if self.soak_gate and version == args.active else []
        return VersionLock(self._named(version, "lock"), props, pulumi.ResourceOptions(parent=self, depends_on=first))

    def _create_nodes(self, version: str, lock: VersionLock, size: SizeArgs, *, canary: bool = False) -> NodePool:
        args = self._args
        nodes = args.versions[version]
        called = names.canary_name(version) if canary else version
        pool = NodePoolArgs(
            cluster=args.cluster,
            pool=args.pool,
            version=called,
            nodes=nodes,
            size=size,
            account=self._found.account,
            zone_subnets=_by_zone(nodes, self._found.subnet_zones) if nodes.zones == "each" else None,
            zone_sizes=self._found.live_zones if self._states[version] == "active" else {},
            # A canary takes no traffic that is meant for the pool.
            target_group_arns=() if canary else args.target_group_arns,
            lock=lock,
            group_depends_on=args.group_depends_on,
            state=self._states[version],
        )
        return NodePool(names.logical_name(args.pool, called), pool, pulumi.ResourceOptions(parent=self))

    def _create_canary(self, version: str, lock: VersionLock) -> NodePool:
        count, called = self._args.canaries[version], names.canary_name(version)
        size = SizeArgs(min=count, max=count, desired=count)
        nodes = self._create_nodes(version, lock, size, canary=True)
        hook = self._create_hook(nodes, called)
        self._create_gate(VersionGroups.made(nodes), called, self._named(called, "gate"), hook, canary=True)
        return nodes

    def _place(self, groups: VersionGroups) -> dict[str, Any]:
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
            "groups": groups.refs,
        }

    def _create_hook(self, nodes: NodePool, version: str) -> DrainHook:
        name = self._named(version, "drain")
        props = {
            **self._place(VersionGroups.made(nodes)),
            "version": version,
            "drain": self._args.drain.to_props(),
            "urn": child_urn(self, f"{DYNAMIC}DrainHook", name),
        }
        return DrainHook(name, props, pulumi.ResourceOptions(parent=self, depends_on=list(nodes.groups)))

    def _create_gate(
        self, groups: VersionGroups, version: str, name: str, hook: DrainHook | None, *, canary: bool = False
    ) -> ReadinessGate:
        args = self._args
        wanted = args.versions.get(version.removesuffix(names.CANARY_SUFFIX))
        props = {
            **self._place(groups),
            "active": version,
            "kernelArguments": list(wanted.kernel_arguments) if wanted else [],
            "minimumKernelVersion": (wanted.minimum_kernel if wanted else None) or "",
            "timeout": args.gate.timeout,
            "consecutive": args.gate.consecutive,
            "interval": args.gate.interval,
            "canary": canary,
            "adopted": version in args.adopted,
            "limits": groups.limits,
            "written": {"imageId": wanted.image_id, "instanceType": wanted.instance_type} if wanted else {},
            # By value too: an edge alone does not tell that the hook was left out of a run.
            "hook": hook.id if hook else "",
            "pending": "" if canary else self._found.pending,
            "urn": child_urn(self, f"{DYNAMIC}ReadinessGate", name),
        }
        before = [*groups.resources, *([hook] if hook else [])]
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

    def _create_cutover(self) -> Cutover:
        """It knows the other versions by what the survey has seen: an edge to them could close a circle."""
        args, name = self._args, f"{self._args.pool}-cutover"
        others = [
            {
                "version": version,
                "state": self._states[version],
                "groups": VersionGroups.seen(self._found.existing[version]).refs,
            }
            for version in sorted({*self.pools, *args.adopted})
            if version != args.active
        ]
        props = {
            **self._place(self._served),
            "active": args.active,
            "proved": self.gate.active,
            "generation": self.gate.generation,
            "others": others,
            "drain": args.drain.to_props(),
            "replica": written(args),
            "pending": self._found.pending,
            "urn": child_urn(self, f"{DYNAMIC}Cutover", name),
        }
        before = [self.smoke_test] if self.smoke_test else [self.gate]
        return Cutover(name, props, pulumi.ResourceOptions(parent=self, depends_on=before))


def surveyed(args: BlueGreenNodePoolArgs) -> BlueGreenNodePoolArgs:
    """The same arguments with what account and cluster look like now; RunError says what stands in the way.

    A program with several pools calls this for all of them before it makes any resource: the engine begins to create
    as soon as one is registered, so a later refusal would come after the first change.
    """
    if args.found is not None:
        return args
    try:
        require_renderable(args.cluster, args.pool, args.versions)
        found = survey(_asked_of_survey(args))
        require_possible(args.pool, args.states, found.existing)
        size_for(args, found.live_size)
        require_like_serving(args, found)
        _require_account(args.pool, found.account)
        preview.tell(args.pool, found)
    except NodePoolsError as error:
        raise pulumi.RunError(str(error)) from None
    for warning in found.warnings:
        pulumi.log.warn(warning)
    for note in found.notes:
        pulumi.log.info(note)
    return replace(args, found=found)


def _asked_of_survey(args: BlueGreenNodePoolArgs) -> SurveyArgs:
    cluster = args.cluster
    return SurveyArgs(
        cluster=cluster.name,
        pool=args.pool,
        active=args.active,
        region=cluster.region,
        access=cluster.access,
        subnet_ids={version: [str(one) for one in nodes.subnet_ids] for version, nodes in args.versions.items()},
        initial=size_for(args, None).desired,
        join=cluster.join,
        canaries=args.canaries,
        drain=args.drain,
        adopted=args.adopted,
        planned=planned(args),
        instance_types={
            version: nodes.instance_type
            for version, nodes in args.versions.items()
            if isinstance(nodes.instance_type, str)
        },
        principals=principals(args),
        only_looks=pulumi.runtime.is_dry_run(),
    )


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


def _by_zone(nodes: NodeArgs, zones: Mapping[str, str]) -> dict[str, list[pulumi.Input[str]]]:
    found: dict[str, list[pulumi.Input[str]]] = {}
    for subnet in nodes.subnet_ids:
        found.setdefault(zones[str(subnet)], []).append(subnet)
    return found
