"""Why a budget, or the pacing, does not let a pod go now. Pure.

It follows the chain that most refusals hide: budget or pacing, then the sibling that should have taken over and is not
ready, then why it is not, in the words of the scheduler or the kubelet.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pulumi_nodepools.drain import budgets
from pulumi_nodepools.drain.lanes import Track
from pulumi_nodepools.drain.model import BudgetView, ControllerView, Diagnosis, PodView
from pulumi_nodepools.drain.world import World, is_starting, selects

Numbers = dict[str, int | float | str]


@dataclass(frozen=True)
class Case:
    """One pod in question."""

    world: World
    pod: PodView
    track: Track | None
    wall: float

    def say(self, reason: str, message: str, fix: str, **numbers: int | float | str) -> Diagnosis:
        """A diagnosis of this pod."""
        return Diagnosis(reason, f"pod {self.pod.path}", self.pod.node, message, fix, numbers)


def guarded(case: Case) -> Diagnosis:
    """What limits it."""
    if case.track and case.track.by_rollout:
        return _by_rollout(case)
    guards = case.world.guards(case.pod)
    if len(guards) > 1:
        return two_budgets(case)
    if guards:
        return _budget(case, case.world.budgets[guards[0]])
    return _paced(case)


def _budget(case: Case, budget: BudgetView) -> Diagnosis:
    numbers = budgets.numbers(budget)
    if budget.sync_failure:
        message = f"budget {budget.path} cannot be computed: {budget.sync_failure}"
        return case.say(
            "pdb-sync-failed", message, "make the budget select only pods of scalable controllers", **numbers
        )
    if budgets.impossible(budget):
        message = (
            f"budget {budget.path} can never allow it: it needs {budget.needed} of {budget.expected} pods healthy "
            f"({budgets.wording(budget)})"
        )
        return case.say("pdb-impossible", message, "raise the replicas, or relax the budget by one pod", **numbers)
    if budget.behind or (case.track and "still being processed" in case.track.cause_text):
        message = f"budget {budget.path} was changed and its controller has not counted its pods since"
        fix = "nothing if it passes within seconds; otherwise look at kube-controller-manager"
        return case.say("pdb-controller-lag", message, fix, **numbers)
    if not case.pod.ready and not budget.always_allow_unready and budget.healthy < budget.needed:
        message = (
            f"it is not ready and budget {budget.path} guards unready pods: needs {budget.needed}, has {budget.healthy}"
        )
        return case.say(
            "unready-pod-guarded", message, "set unhealthyPodEvictionPolicy: AlwaysAllow, or repair the pod", **numbers
        )
    nearby = (case.world.pods[uid] for uid in case.world.starting.get(budget.namespace, ()))
    siblings = (pod for pod in nearby if selects(budget, pod))
    lead = f"budget {budget.path} needs {budget.needed} healthy and has {budget.healthy}"
    return _by_sibling(case, siblings, lead, numbers) or case.say(
        "pdb-exhausted",
        f"{lead}, so it allows {budget.allowed} disruptions now",
        "nothing if a replacement becomes ready; otherwise raise the replicas or relax the budget",
        **numbers,
    )


def _paced(case: Case) -> Diagnosis:
    controller = case.world.wants(case.pod)
    if controller is None or (case.track and case.track.state in ("in-flight", "accepted")):
        return _turn(case)
    ready = case.world.ready[controller.uid]
    numbers: Numbers = {"ready": ready, "desired": controller.desired}
    lead = f"{controller.kind} {controller.namespace}/{controller.name} has {ready} of {controller.desired} pods ready"
    if ready >= controller.desired:
        return _turn(case)
    siblings = (case.world.pods[uid] for uid in case.world.by_owner.get(controller.uid, ()))
    return _by_sibling(case, siblings, lead, numbers) or case.say(
        "replacement-not-ready",
        f"{lead}; without a budget at most a quarter (at least one) may be unavailable",
        "find out why its replacements do not become ready, or set `unbudgeted: all`",
        **numbers,
    )


def _by_rollout(case: Case) -> Diagnosis:
    made = case.world.deployment(case.pod)
    if made is None:
        return _turn(case)
    lead = f"Deployment {made.path} is to start its next pod before this one goes"
    if made.moving != case.pod.uid:
        lead += ", after the rollout that is under way"
    nearby = (case.world.pods[uid] for uid in case.world.starting.get(made.namespace, ()))
    siblings = (pod for pod in nearby if case.world.deployment(pod) is made and pod.uid != case.pod.uid)
    fix = f"look at `kubectl rollout status deployment/{made.name} -n {made.namespace}`, or set `singleReplicas: evict`"
    return _by_sibling(case, siblings, lead, {}) or case.say("replacement-not-ready", lead, fix)


def _turn(case: Case) -> Diagnosis:
    state = case.track.state if case.track else "pending"
    message = {
        "in-flight": "its eviction is being answered",
        "accepted": "its eviction was accepted, but it has not begun to terminate",
    }.get(state, "its turn has not come")
    return case.say("waiting", message, "raise `timeout` if there are many pods per node; the drain can be resumed")


def _by_sibling(case: Case, siblings: Iterable[PodView], lead: str, numbers: Numbers) -> Diagnosis | None:
    """The sibling that should have taken over and cannot, if there is one."""
    waiting = [pod for pod in siblings if is_starting(pod)]
    for pod in waiting:
        if not pod.node and pod.trouble:
            found = case.say(
                "replacement-unschedulable",
                f"{lead}; its pod {pod.path} cannot be scheduled: {pod.trouble}",
                "add capacity that fits, or correct the requests, selectors or tolerations it names",
                **numbers,
                sibling=pod.path,
            )
            return replace(found, chain=(lead, f"pod {pod.path} has no node", pod.trouble))
    for pod in waiting:
        if pod.uid != case.pod.uid:
            where = f"on {pod.node} " if pod.node else ""
            why = f": {pod.trouble}" if pod.trouble else ""
            found = case.say(
                "replacement-not-ready",
                f"{lead}; its pod {pod.path} {where}is {pod.phase} and not ready{why}",
                "look at that pod's image, probes and readiness gates",
                **numbers,
                sibling=pod.path,
            )
            links = (lead, f"pod {pod.path} {where}is not ready", pod.trouble)
            return replace(found, chain=tuple(link for link in links if link))
    return None


def two_budgets(case: Case) -> Diagnosis:
    """More than one budget: the server refuses for ever."""
    names = ", ".join(sorted(case.world.budgets[uid].path for uid in case.world.guards(case.pod)))
    return case.say(
        "pdb-multiple",
        f"more than one PodDisruptionBudget selects it ({names}); the API server then refuses every eviction",
        "change the selectors so that exactly one budget selects the pod",
        budgets=names,
    )


def explain_controller(world: World, controller: ControllerView) -> Diagnosis:
    """Why a controller whose pods were moved is not back to its former number of ready pods."""
    name = f"{controller.kind} {controller.namespace}/{controller.name}"
    ready = world.ready[controller.uid]
    numbers: Numbers = {"ready": ready, "desired": controller.desired}
    lead = f"{name} has {ready} of {controller.desired} pods ready"
    pods = [world.pods[uid] for uid in world.by_owner.get(controller.uid, ())]
    for pod in pods:
        if not is_starting(pod):
            continue
        reason = "replacement-not-ready" if pod.node else "replacement-unschedulable"
        message = f"{lead}; its pod {pod.path} is {pod.phase}: {pod.trouble or 'not ready'}"
        fix = "add capacity that fits, or repair the pod; then run the drain again"
        return Diagnosis(reason, name, pod.node, message, fix, numbers)
    return Diagnosis(
        "replacement-not-ready",
        name,
        "",
        f"{lead} and no pod of it is on its way",
        "look at its controller's events (quota, admission)",
        numbers,
    )
