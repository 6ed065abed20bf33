"""Why a pod does not leave: one reason of a fixed list, its numbers, and what would help. Pure.

It follows the chain that most refusals hide: budget or pacing, then the sibling that is not ready, then the scheduler's
own words. Deciding what to do about it is nobody's business here.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pulumi_nodepools.drain import budgets
from pulumi_nodepools.drain.classify import CORDON, DO_NOT_DISRUPT, SAFE_TO_EVICT, tolerates
from pulumi_nodepools.drain.lanes import Track
from pulumi_nodepools.drain.model import BudgetView, ControllerView, Diagnosis, PodView
from pulumi_nodepools.drain.world import World, counts_as_ready, selects

_Numbers = dict[str, int | float | str]


@dataclass(frozen=True)
class _Case:
    world: World
    pod: PodView
    track: Track | None
    wall: float

    def say(self, reason: str, message: str, fix: str, **numbers: int | float | str) -> Diagnosis:
        return Diagnosis(reason, f"pod {self.pod.path}", self.pod.node, message, fix, numbers)


def diagnose(world: World, pod: PodView, track: Track | None, verdict: str, wall: float) -> Diagnosis:
    """Explain one pod; `verdict` is the reason of its classification, `track` the story of its eviction so far."""
    case = _Case(world, pod, track, wall)
    if pod.terminating:
        return _terminating(case)
    blocked = _BLOCKED.get(verdict)
    if blocked:
        return blocked(case)
    refused = _REFUSED.get(track.cause or "") if track else None
    if refused:
        return refused(case)
    return _guarded(case)


def _terminating(case: _Case) -> Diagnosis:
    pod = case.pod
    left = (pod.deleted_at or case.wall) - case.wall
    node = case.world.nodes.get(pod.node)
    if left > 0:
        return case.say(
            "terminating-grace",
            f"it is terminating and its grace of {pod.grace} s ends in {left:.0f} s",
            "wait, or shorten terminationGracePeriodSeconds or the preStop hook",
            graceLeftSeconds=round(left),
        )
    if node is not None and not node.ready:
        instance = case.world.instances.get(pod.node)
        known = f"its instance is {instance}" if instance else "whether its instance still runs is not known here"
        return case.say(
            "kubelet-unreachable",
            f"its grace ended {-left:.0f} s ago, but its kubelet does not answer (Ready={node.ready_status}); {known}",
            "repair the node, or terminate its instance: a drain by `pulumi up` notices, otherwise delete the Node too",
            overdueSeconds=round(-left),
            instance=instance or "unknown",
        )
    if pod.finalizers:
        names = ", ".join(pod.finalizers)
        return case.say(
            "stuck-finalizer",
            f"its grace ended {-left:.0f} s ago and the finalizers {names} still hold it",
            "find the controller that owns the finalizer and let it finish",
            finalizers=names,
            overdueSeconds=round(-left),
        )
    return case.say(
        "terminating-grace",
        f"its grace ended {-left:.0f} s ago and the kubelet has not removed it yet",
        f"look at the kubelet and the volumes of node {pod.node}",
        overdueSeconds=round(-left),
    )


def _bare(case: _Case) -> Diagnosis:
    return case.say(
        "bare-pod",
        "no controller would create it again, so an eviction loses it for good",
        "delete it yourself, give it a controller, or set `barePods: allow` in the drain settings",
    )


def _opted_out(case: _Case) -> Diagnosis:
    key = SAFE_TO_EVICT if case.pod.notes.get(SAFE_TO_EVICT) == "false" else DO_NOT_DISRUPT
    return case.say(
        "opted-out",
        f"its annotation {key}={case.pod.notes.get(key, '')} asks not to be disturbed",
        "wait until its work is done, or remove the annotation",
        annotation=key,
    )


def _local_data(case: _Case) -> Diagnosis:
    names = ", ".join(case.pod.empty_dirs)
    return case.say(
        "local-data",
        f"its emptyDir volumes ({names}) would be lost and the drain settings say `emptyDir: block`",
        "save the data and delete the pod, or set `emptyDir: allow`",
        volumes=names,
    )


def _completing(case: _Case) -> Diagnosis:
    since = "" if case.pod.started_at is None else f", running for {case.wall - case.pod.started_at:.0f} s"
    return case.say(
        "wait-completed",
        f"it is left to complete, as its annotation or the drain settings (`jobs: wait`) ask{since}",
        "wait, raise `timeout`, or delete it if its work may be lost",
    )


def _returns(case: _Case) -> Diagnosis:
    why = "it tolerates the cordon" if tolerates(case.pod.tolerations, CORDON) else "it names the node itself"
    owner = f"{case.pod.owner.kind} {case.pod.owner.name}" if case.pod.owner else "its creator"
    return case.say(
        "returns-to-node",
        f"{owner} puts pods back on {case.pod.node} each time one is evicted: {why}",
        "remove the toleration or nodeName from its template, or scale it down for the drain",
    )


def _two_budgets(case: _Case) -> Diagnosis:
    names = ", ".join(sorted(case.world.budgets[uid].path for uid in case.world.guards(case.pod)))
    return case.say(
        "pdb-multiple",
        f"more than one PodDisruptionBudget selects it ({names}); the API server then refuses every eviction",
        "change the selectors so that exactly one budget selects the pod",
        budgets=names,
    )


def _denied(case: _Case) -> Diagnosis:
    return case.say(
        "webhook-denied",
        f"an admission webhook or policy refused the eviction {_failures(case)} times: {_text(case)}",
        "let that operator move the pod (it is asked again), or exempt evictions from its rule",
        refusals=_failures(case),
    )


def _namespace(case: _Case) -> Diagnosis:
    return case.say(
        "namespace-terminating",
        f"namespace {case.pod.namespace} is being deleted, so the API server refuses evictions in it",
        "wait for the namespace to end; look at its finalizers if it does not",
    )


def _throttled(case: _Case) -> Diagnosis:
    return case.say(
        "apf-throttled",
        f"the API server answered 429 to protect itself: {_text(case)}",
        "nothing: the drain has slowed down; raise the share of its priority level if this lasts",
        refusals=_failures(case),
    )


def _forbidden(case: _Case) -> Diagnosis:
    return case.say(
        "rbac",
        f"the API server refused for lack of rights: {_text(case)}",
        "grant `create` on `pods/eviction` to the identity that runs the drain",
    )


def _transient(case: _Case) -> Diagnosis:
    return case.say(
        "api-failing",
        f"the last {_failures(case)} evictions got no useful answer: {_text(case)}",
        "nothing if it passes: it is asked again; otherwise look at the API server",
        failures=_failures(case),
    )


_BLOCKED: dict[str, Callable[[_Case], Diagnosis]] = {
    "bare-pod": _bare,
    "opted-out": _opted_out,
    "local-data": _local_data,
    "returns-to-node": _returns,
    "wait-completed": _completing,
}
_REFUSED: dict[str, Callable[[_Case], Diagnosis]] = {
    "budgets": _two_budgets,
    "denied": _denied,
    "namespace-terminating": _namespace,
    "throttled": _throttled,
    "forbidden": _forbidden,
    "transient": _transient,
}


def _guarded(case: _Case) -> Diagnosis:
    guards = case.world.guards(case.pod)
    if len(guards) > 1:
        return _two_budgets(case)
    if guards:
        return _budget(case, case.world.budgets[guards[0]])
    return _paced(case)


def _budget(case: _Case, budget: BudgetView) -> Diagnosis:
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
    if not case.pod.ready and not budget.always_allow_unready and budget.healthy < budget.needed:
        message = (
            f"it is not ready and budget {budget.path} guards unready pods: needs {budget.needed}, has {budget.healthy}"
        )
        return case.say(
            "unready-pod-guarded", message, "set unhealthyPodEvictionPolicy: AlwaysAllow, or repair the pod", **numbers
        )
    nearby = (case.world.pods[uid] for uid in case.world.by_namespace.get(budget.namespace, ()))
    siblings = (pod for pod in nearby if selects(budget, pod))
    lead = f"budget {budget.path} needs {budget.needed} healthy and has {budget.healthy}"
    return _by_sibling(case, siblings, lead, numbers) or case.say(
        "pdb-exhausted",
        f"{lead}, so it allows {budget.allowed} disruptions now",
        "nothing if a replacement becomes ready; otherwise raise the replicas or relax the budget",
        **numbers,
    )


def _paced(case: _Case) -> Diagnosis:
    controller = case.world.wants(case.pod)
    if controller is None or (case.track and case.track.state in ("in-flight", "accepted")):
        return _turn(case)
    ready = case.world.ready[controller.uid]
    numbers: _Numbers = {"ready": ready, "desired": controller.desired}
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


def _turn(case: _Case) -> Diagnosis:
    state = case.track.state if case.track else "pending"
    message = {
        "in-flight": "its eviction is being answered",
        "accepted": "its eviction was accepted, but it has not begun to terminate",
    }.get(state, "its turn has not come")
    return case.say("waiting", message, "raise `timeout` if there are many pods per node; the drain can be resumed")


def _by_sibling(case: _Case, siblings: Iterable[PodView], lead: str, numbers: _Numbers) -> Diagnosis | None:
    """The sibling that should have taken over and cannot, if there is one."""
    waiting = [pod for pod in siblings if not counts_as_ready(pod) and not pod.terminating and not pod.finished]
    for pod in waiting:
        if not pod.node and pod.trouble:
            return case.say(
                "replacement-unschedulable",
                f"{lead}; its pod {pod.path} cannot be scheduled: {pod.trouble}",
                "add capacity that fits, or correct the requests, selectors or tolerations it names",
                **numbers,
                sibling=pod.path,
            )
    for pod in waiting:
        if pod.uid != case.pod.uid:
            where = f"on {pod.node} " if pod.node else ""
            why = f": {pod.trouble}" if pod.trouble else ""
            return case.say(
                "replacement-not-ready",
                f"{lead}; its pod {pod.path} {where}is {pod.phase} and not ready{why}",
                "look at that pod's image, probes and readiness gates",
                **numbers,
                sibling=pod.path,
            )
    return None


def _text(case: _Case) -> str:
    return case.track.cause_text[:300] if case.track else ""


def _failures(case: _Case) -> int:
    return case.track.failures if case.track else 0


def explain_controller(world: World, controller: ControllerView) -> Diagnosis:
    """Why a controller whose pods were moved is not back to its former number of ready pods."""
    name = f"{controller.kind} {controller.namespace}/{controller.name}"
    ready = world.ready[controller.uid]
    numbers: _Numbers = {"ready": ready, "desired": controller.desired}
    lead = f"{name} has {ready} of {controller.desired} pods ready"
    pods = [world.pods[uid] for uid in world.by_owner.get(controller.uid, ())]
    for pod in pods:
        if counts_as_ready(pod) or pod.terminating or pod.finished:
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
