"""Which pods are tied to these nodes by their volumes. Pure. Room in a zone is drain.placement's question."""

from collections.abc import Iterator, Sequence

from pulumi_nodepools.drain.model import PodView
from pulumi_nodepools.drain.preflight.finding import Finding
from pulumi_nodepools.drain.world import World


def volume_findings(world: World, moving: Sequence[PodView]) -> Iterator[Finding]:
    """Pods with volumes that exist on one node only: no other node can ever run them."""
    for pod in moving:
        for volume in world.storage.volumes_of(pod):
            if volume.local:
                where = ", ".join(volume.places)
                message = f"its volume {volume.name} is local to {where}: evicted, it would stay Pending for ever"
                fix = "move its data and delete claim and pod, or run it on a volume that can be attached elsewhere"
                yield Finding("never", "local-volume", f"pod {pod.path}", message, fix, node=pod.node)
