"""Which workloads the move interrupts, and which are not whole even now. Pure."""

from collections.abc import Iterator, Sequence

from pulumi_nodepools.drain import surge
from pulumi_nodepools.drain.guarded import explain_controller
from pulumi_nodepools.drain.model import PodView
from pulumi_nodepools.drain.preflight.finding import Finding
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.world import World


def workload_findings(world: World, moving: Sequence[PodView], settings: DrainSettings) -> Iterator[Finding]:
    """Findings about the controllers of the pods that are to move."""
    firsts = {pod.owner.uid: pod for pod in reversed(moving) if pod.owner}
    for uid in dict.fromkeys(pod.owner.uid for pod in moving if pod.owner):
        controller = world.controllers.get(uid)
        if controller is None or controller.desired < 1:
            continue
        if surge.single(world, firsts[uid]):
            yield _single(world, firsts[uid], controller.title, settings)
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


def _single(world: World, pod: PodView, workload: str, settings: DrainSettings) -> Finding:
    name = f"workload {workload}"
    if surge.by_rollout(world, settings, pod):
        message = "it has one replica: its Deployment is asked to have the next pod ready before this one goes"
        return Finding("info", "surge", name, message, "nothing; see that its strategy and probes are as you want them")
    message = "it has one replica: moving that interrupts it until the new pod is ready"
    why = surge.hindrance(world, pod)
    if not why:
        fix = "set `singleReplicas: surge` to have the next pod ready first, or run two replicas"
        return Finding("warning", "single-replica", name, message, fix)
    fix = "run two replicas if it must not be interrupted"
    return Finding("warning", "single-replica", name, f"{message}; no surge can help, because {why}", fix)
