"""Why a pod does not leave: one reason of a fixed list, its numbers, and what would help. Pure.

What its own state or the server's answers tell is told here, what budgets and pacing hold back in drain.guarded.
Deciding what to do about it is nobody's business here.
"""

from collections.abc import Callable

from pulumi_nodepools.drain.classify import CORDON, DO_NOT_DISRUPT, SAFE_TO_EVICT, tolerates, undisturbed_for
from pulumi_nodepools.drain.guarded import Case, Numbers, guarded, two_budgets
from pulumi_nodepools.drain.lanes import Track
from pulumi_nodepools.drain.model import Diagnosis, PodView
from pulumi_nodepools.drain.world import World


def diagnose(world: World, pod: PodView, track: Track | None, verdict: str, wall: float) -> Diagnosis:
    """Explain one pod; `verdict` is the reason of its classification, `track` the story of its eviction so far."""
    case = Case(world, pod, track, wall)
    if pod.terminating:
        return _terminating(case)
    blocked = _BLOCKED.get(verdict)
    if blocked:
        return blocked(case)
    refused = _REFUSED.get(track.cause or "") if track else None
    if refused:
        return refused(case)
    return guarded(case)


def _terminating(case: Case) -> Diagnosis:
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


def _bare(case: Case) -> Diagnosis:
    return case.say(
        "bare-pod",
        "no controller would create it again, so an eviction loses it for good",
        "delete it yourself, give it a controller, or set `barePods: allow` (by hand `--force`)",
    )


def _opted_out(case: Case) -> Diagnosis:
    key = SAFE_TO_EVICT if case.pod.notes.get(SAFE_TO_EVICT) == "false" else DO_NOT_DISRUPT
    left = undisturbed_for(case.pod, case.wall)
    timed = 0 < left < float("inf") and key == DO_NOT_DISRUPT
    numbers: Numbers = {"annotation": key} | ({"leftSeconds": round(left)} if timed else {})
    return case.say(
        "opted-out",
        f"its annotation {key}={case.pod.notes.get(key, '')} asks not to be disturbed"
        + (f" for another {left:.0f} s" if timed else ""),
        "wait until its work is done, or remove the annotation",
        **numbers,
    )


def _local_data(case: Case) -> Diagnosis:
    names = ", ".join(case.pod.empty_dirs)
    return case.say(
        "local-data",
        f"its emptyDir volumes ({names}) would be lost, and nobody has allowed that",
        "save the data and delete the pod, or set `emptyDir: allow` (by hand `--delete-emptydir-data`)",
        volumes=names,
    )


def _completing(case: Case) -> Diagnosis:
    since = "" if case.pod.started_at is None else f", running for {case.wall - case.pod.started_at:.0f} s"
    return case.say(
        "wait-completed",
        f"it is left to complete, as its annotation or the drain settings (`jobs: wait`) ask{since}",
        "wait, raise `timeout`, or delete it if its work may be lost",
    )


def _returns(case: Case) -> Diagnosis:
    why = "it tolerates the cordon" if tolerates(case.pod.tolerations, CORDON) else "it names the node itself"
    owner = f"{case.pod.owner.kind} {case.pod.owner.name}" if case.pod.owner else "its creator"
    return case.say(
        "returns-to-node",
        f"{owner} puts pods back on {case.pod.node} each time one is evicted: {why}",
        "remove the toleration or nodeName from its template, or scale it down for the drain",
    )


def _denied(case: Case) -> Diagnosis:
    return case.say(
        "webhook-denied",
        f"an admission webhook or policy refused to move it {_failures(case)} times: {_text(case)}",
        "let that operator move the pod (it is asked again), or exempt evictions from its rule",
        refusals=_failures(case),
    )


def _namespace(case: Case) -> Diagnosis:
    return case.say(
        "namespace-terminating",
        f"namespace {case.pod.namespace} is being deleted, so the API server refuses evictions in it",
        "wait for the namespace to end; look at its finalizers if it does not",
    )


def _throttled(case: Case) -> Diagnosis:
    return case.say(
        "apf-throttled",
        f"the API server answered 429 to protect itself: {_text(case)}",
        "nothing: the drain has slowed down; raise the share of its priority level if this lasts",
        refusals=_failures(case),
    )


def _forbidden(case: Case) -> Diagnosis:
    return case.say(
        "rbac",
        f"the API server refused for lack of rights: {_text(case)}",
        "grant `create` on `pods/eviction` to the identity that runs the drain",
    )


def _transient(case: Case) -> Diagnosis:
    return case.say(
        "api-failing",
        f"the last {_failures(case)} evictions got no useful answer: {_text(case)}",
        "nothing if it passes: it is asked again; otherwise look at the API server",
        failures=_failures(case),
    )


_BLOCKED: dict[str, Callable[[Case], Diagnosis]] = {
    "bare-pod": _bare,
    "opted-out": _opted_out,
    "local-data": _local_data,
    "returns-to-node": _returns,
    "wait-completed": _completing,
}
_REFUSED: dict[str, Callable[[Case], Diagnosis]] = {
    "budgets": two_budgets,
    "denied": _denied,
    "namespace-terminating": _namespace,
    "throttled": _throttled,
    "forbidden": _forbidden,
    "transient": _transient,
}


def _text(case: Case) -> str:
    return case.track.cause_text[:300] if case.track else ""


def _failures(case: Case) -> int:
    return case.track.failures if case.track else 0
