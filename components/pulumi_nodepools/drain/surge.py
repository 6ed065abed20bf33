"""Single replicas that move without absence: their Deployment starts the next pod before the old one goes. Pure.

A rollout does that by itself where its strategy allows one pod more and none less. The drain only asks for one, once
its nodes are cordoned: no count is changed, so nothing is to be taken back, whoever dies in between. What cannot move
so is named before, and evicted like every other pod.
"""

from pulumi_nodepools.drain.classify import CORDON, tolerates
from pulumi_nodepools.drain.model import DeploymentView, PodView
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.world import World, counts_as_ready

LIMIT = 3
"""So many rollouts of one Deployment in one drain: if its pod is still there, somebody undoes them."""


def single(world: World, pod: PodView) -> bool:
    """Whether a pod is the only one that its workload wants."""
    made, controller = world.deployment(pod), world.wants(pod)
    return controller is not None and (made.replicas if made else controller.desired) == 1


def hindrance(world: World, pod: PodView) -> str:
    """Why a single replica cannot be replaced before it goes; empty if it can."""
    made = world.deployment(pod)
    if made is None:
        kind = pod.owner.kind if pod.owner else "bare pod"
        return f"a {kind} starts no pod before the old one has gone"
    if made.paused:
        return "its Deployment is paused"
    if not made.adds_first:
        return "its Deployment's strategy takes the old pod away first"
    if tolerates(pod.tolerations, CORDON):
        return "it tolerates the cordon, so its next pod could start where it is"
    tied = world.storage.tied(pod)
    return f"its claim {tied} cannot be used on two nodes at once" if tied else ""


def by_rollout(world: World, settings: DrainSettings, pod: PodView) -> DeploymentView | None:
    """The Deployment whose rollout moves a pod; None if it is to be evicted."""
    if settings.single_replicas != "surge" or not counts_as_ready(pod) or not single(world, pod):
        return None
    return None if hindrance(world, pod) else world.deployment(pod)


def due(made: DeploymentView, uid: str) -> bool:
    """Whether the rollout may be asked for: it was not yet, and no other one is under way."""
    return made.settled and made.moving != uid
