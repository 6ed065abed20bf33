"""Which workloads the move interrupts, and which are not whole even now. Pure."""

from collections.abc import Iterator, Sequence

from pulumi_nodepools.drain.guarded import explain_controller
from pulumi_nodepools.drain.model import PodView
from pulumi_nodepools.drain.preflight.finding import Finding
from pulumi_nodepools.drain.world import World


def workload_findings(world: World, moving: Sequence[PodView]) -> Iterator[Finding]:
    """Findings about the controllers of the pods that are to move."""
    owners = dict.fromkeys(pod.owner.uid for pod in moving if pod.owner)
    for controller in (world.controllers.get(uid) for uid in owners):
        if controller is None or controller.desired < 1:
            continue
        if controller.desired == 1:
            message = "it has one replica: moving that interrupts it until the new pod is ready"
            fix = "run two replicas if it must not be interrupted"
            yield Finding("warning", "single-replica", f"workload {controller.title}", message, fix)
        if world.ready[controller.uid] < controller.desired:
            found = explain_controller(world, controller)
            yield Finding(
                "warning",
                "workload-not-ready",
                f"workload {controller.title}",
                f"before anything is moved, {found.message}",
                "repair it first: afterwards nobody can tell what the drain did",
                node=found.node,
                numbers=found.numbers,
            )
