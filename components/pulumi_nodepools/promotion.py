"""What a promotion depends on: the soak gate of a pool, and the soaks of its canaries."""

from collections.abc import Mapping

import pulumi

from pulumi_nodepools import names
from pulumi_nodepools.args import BlueGreenNodePoolArgs
from pulumi_nodepools.hooks.soak_gate import SoakGate
from pulumi_nodepools.kernel_watch import KernelWatch
from pulumi_nodepools.soak.document import spec_digest
from pulumi_nodepools.soak_test import SoakTest, SoakTestArgs
from pulumi_nodepools.survey import Survey
from pulumi_nodepools.urns import DYNAMIC, child_urn
from pulumi_nodepools.version_spec import spec

_SCHEMA = 1


def create_soak_gate(args: BlueGreenNodePoolArgs, found: Survey, parent: pulumi.Resource) -> SoakGate | None:
    """The gate of the active version, if the pool has soaks."""
    soak, name = args.soak, f"{args.pool}-soak"
    if soak is None or args.active in args.adopted:
        return None
    nodes = args.versions[args.active]
    written = pulumi.Output.from_input(spec(args.cluster, nodes))
    props = {
        "schemaVersion": _SCHEMA,
        "cluster": args.cluster.name,
        "clusterUid": found.cluster_uid,
        "access": args.cluster.access.to_props(),
        "pool": args.pool,
        "version": args.active,
        "image": nodes.image_id,
        "spec": written.apply(spec_digest),
        "duration": soak.duration,
        "runs": soak.runs,
        "failureRate": soak.failure_rate,
        "windows": soak.windows,
        "override": soak.overrides.get(args.active, ""),
        "exempt": exemption(args.active, found),
        "urn": child_urn(parent, f"{DYNAMIC}SoakGate", name),
    }
    return SoakGate(name, props, pulumi.ResourceOptions(parent=parent))


def exemption(active: str, found: Survey) -> str:
    """Why no soak is asked for: going back to a version that has its nodes must never wait for one."""
    # A record that was deleted by hand must not let anything through: then the other version's groups are there.
    if found.serving is None and not found.existing:
        return "no version serves yet"
    if active == found.serving or active in found.existing:
        return "its nodes are there already"
    return ""


def create_soak_tests(
    pools: Mapping[str, BlueGreenNodePoolArgs], canaries: Mapping[str, Mapping[str, pulumi.Resource]]
) -> list[SoakTest]:
    """For each canary of each pool with a soak: its job, its collector. `canaries` are the pools' by version."""
    soaked = {name: args for name, args in pools.items() if args.soak}
    if not soaked:
        return []
    cluster = next(iter(soaked.values())).cluster
    watch = KernelWatch("nodepools-kernel-watch", cluster, [args.soak for args in soaked.values() if args.soak])
    return [
        SoakTest(
            f"{names.logical_name(name, version)}-soak",
            _soak_test(args, version, watch),
            pulumi.ResourceOptions(depends_on=[canary]),
        )
        for name, args in soaked.items()
        for version, canary in canaries.get(name, {}).items()
    ]


def _soak_test(args: BlueGreenNodePoolArgs, version: str, watch: KernelWatch) -> SoakTestArgs:
    assert args.soak is not None
    nodes = args.versions[version]
    # Nodes of an adopted group bear no label of ours to send the same job to.
    old = args.versions.get(args.active)
    own = {"key": names.CANARY_TAINT, "operator": "Equal", "value": version, "effect": "NoSchedule"}
    return SoakTestArgs(
        pool=args.pool,
        version=version,
        image_id=nodes.image_id,
        spec=spec(args.cluster, nodes),
        nodes=_labels(args.pool, names.canary_name(version)),
        tolerations=[*map(_toleration, nodes.taints), own],
        old_nodes=_labels(args.pool, args.active) if old else None,
        old_tolerations=[*map(_toleration, old.taints)] if old else [],
        soak=args.soak,
        watch=watch,
    )


def _labels(pool: str, version: str) -> dict[str, str]:
    return {names.POOL_LABEL: pool, names.VERSION_LABEL: version}


def _toleration(taint: str) -> dict[str, str]:
    body, _, effect = taint.rpartition(":")
    key, _, value = body.partition("=")
    return {"key": key, "operator": "Equal", "value": value, "effect": effect}
