"""Which pods find no place on nodes that are only planned: by label, taint, architecture or zone of a volume. Pure.

What such a node will be like is told by its version, and by the nodes that it replaces where neither the version nor
a person decides. Room is not judged: it is known once the nodes are there, and asked before the first cordon.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pulumi_nodepools.drain.classify import runs_for_a_soak
from pulumi_nodepools.drain.model import NodeView, PodView, Taint, VolumeView
from pulumi_nodepools.drain.placement import admits
from pulumi_nodepools.drain.preflight.finding import Finding, Severity
from pulumi_nodepools.drain.world import World

ZONE = "topology.kubernetes.io/zone"
_HOST = "kubernetes.io/hostname"
_GIVEN = ("kubernetes.io", "k8s.io", "amazonaws.com", "k8s.aws")
"""Labels of these domains are set by kubelets, clouds and controllers, on the next nodes too."""


@dataclass(frozen=True)
class Successor:
    """What the nodes of a version that is to take over will be like."""

    version: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...] = ()
    zones: tuple[str, ...] = field(default=())

    def like(self, node: NodeView) -> list[NodeView]:
        """The nodes, one in each zone, that may take the place of an old one."""
        kept = {key: value for key, value in node.labels.items() if key != _HOST and _given(key)}
        zones = self.zones or (node.zone,)
        return [
            NodeView(name=f"{self.version} in {zone}", labels={**kept, **self.labels, ZONE: zone}, taints=self.taints)
            for zone in zones
        ]


def _given(key: str) -> bool:
    domain, slash, _ = key.partition("/")
    return bool(slash) and any(domain == one or domain.endswith(f".{one}") for one in _GIVEN)


def successor_findings(
    world: World, names: Collection[str], moving: Sequence[PodView], successor: Successor
) -> Iterator[Finding]:
    """One finding for each workload whose pods neither the planned nodes nor those that stay would admit."""
    staying = [n for n in world.nodes.values() if n.name not in names and n.ready and not n.unschedulable]
    told = set()
    for pod in moving:
        volumes = [volume for volume in world.storage.volumes_of(pod) if not volume.local]
        planned = successor.like(world.nodes[pod.node])
        workload = world.workload(pod)
        if runs_for_a_soak(pod) or workload in told or any(admits(node, pod, volumes) for node in (*planned, *staying)):
            continue
        told.add(workload)
        severity, why = _why(pod, volumes, planned)
        message = f"its pods would find no place on nodes of {successor.version} nor on any that stays: {why}"
        fix = "give the new version what they ask for (labels, taints, subnets), or change the workload"
        yield Finding(severity, "no-place", f"workload {workload}", message, fix, node=pod.node)


def _why(pod: PodView, volumes: Sequence[VolumeView], planned: Sequence[NodeView]) -> tuple[Severity, str]:
    """What none of the planned nodes has. Labels may still come from somebody else; taints and zones are settled."""
    if any(admits(node, pod) for node in planned):
        tied = "; ".join(f"volume {one.name} is in {', '.join(one.places)}" for one in volumes if one.affinity)
        return "never", f"{tied}, and its subnets are in {', '.join(node.zone for node in planned)}"
    bare = [NodeView(name=node.name, labels=node.labels) for node in planned]
    if any(admits(node, pod) for node in bare):
        taints = ", ".join(sorted({f"{one.key}={one.value}:{one.effect}" for one in planned[0].taints}))
        return "never", f"they do not tolerate {taints}"
    asked = [f"{key}={value}" for key, value in pod.node_selector.items() if planned[0].labels.get(key) != value]
    if asked:
        return "blocker", f"their node selector asks for {', '.join(asked)}"
    return "blocker", "their required node affinity matches none of its labels"
