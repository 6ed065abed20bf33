"""What may happen to a pod on a node that is drained, judged from the pod alone. Pure; budgets and pacing come later.

The order of the rules matters: what the kubelet or a DaemonSet keeps is left alone whatever else is true of it,
finished pods lose nothing, terminating ones are already on their way, and only then may something block.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pulumi_nodepools.drain.model import PodView, Requirement, Taint, Toleration
from pulumi_nodepools.drain.rules import MOST, Rule
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.names import DRAIN_ANNOTATION, ORDER_ANNOTATION, SOAK_LABEL, SOAK_NAMESPACE

MIRROR = "kubernetes.io/config.mirror"
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
CLUSTER_API = "cluster.x-k8s.io/drain"
"""Cluster API's label for what DRAIN_ANNOTATION says."""
NOTES = frozenset({MIRROR, SAFE_TO_EVICT, DO_NOT_DISRUPT, DRAIN_ANNOTATION, ORDER_ANNOTATION})
"""The annotations that a PodView must carry."""
CORDON = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
_CLUSTER_CRITICAL, _NODE_CRITICAL = 2_000_000_000, 2_000_001_000
"""Priorities of system-cluster-critical and system-node-critical."""
_TIER = 2 * MOST + 1
"""So far apart that no order moves a pod into another tier."""
_ORDER = re.compile(r"-?\d{1,4}", re.ASCII)
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


@dataclass(frozen=True)
class Verdict:
    """What to do with a pod and why; `block` is never cleared by waiting."""

    action: Literal["evict", "ignore", "wait", "block"]
    reason: str
    tier: int = 0
    """On each node, pods of a higher tier go when those below have gone."""


def tier_of(pod: PodView, settings: DrainSettings) -> int:
    """When a pod's turn comes on its node: ordinary pods, those critical to the cluster, those critical to their node.

    Within each of these an annotation or a rule may put it before or after others; an order that is no number within
    the limits is none.
    """
    if pod.finished:
        return 0
    critical = (pod.priority >= _CLUSTER_CRITICAL) + (pod.priority >= _NODE_CRITICAL)
    rule = _rule(pod, settings)
    written = pod.notes.get(ORDER_ANNOTATION, str(rule.order) if rule else "0")
    order = int(written) if _ORDER.fullmatch(written) else 0
    return critical * _TIER + (order if abs(order) <= MOST else 0)


def _rule(pod: PodView, settings: DrainSettings) -> Rule | None:
    return next((rule for rule in settings.rules if rule.names(pod.path, pod.labels)), None)


def classify(pod: PodView, settings: DrainSettings, wall: float) -> Verdict:
    """Judge one pod; `wall` is the time of day in seconds since the epoch."""
    for rule in _RULES:
        verdict = rule(pod, settings, wall)
        if verdict:
            return verdict
    return Verdict("evict", "movable")


def _mirror(pod: PodView, _settings: DrainSettings, _wall: float) -> Verdict | None:
    return Verdict("ignore", "mirror") if MIRROR in pod.notes or pod.owned_by_node else None


def _daemon(pod: PodView, _settings: DrainSettings, _wall: float) -> Verdict | None:
    owner = pod.owner
    managed = owner is not None and owner.kind == "DaemonSet" and owner.api_version == "apps/v1"
    return Verdict("ignore", "daemonset") if managed and not pod.finished else None


def _terminating(pod: PodView, _settings: DrainSettings, _wall: float) -> Verdict | None:
    return Verdict("wait", "terminating") if pod.terminating else None


def _finished(pod: PodView, _settings: DrainSettings, _wall: float) -> Verdict | None:
    return Verdict("evict", "finished") if pod.finished else None


def _wished(pod: PodView, settings: DrainSettings, _wall: float) -> Verdict | None:
    """What the pod's owner wishes for drains, or the settings say for jobs."""
    rule = _rule(pod, settings)
    wish = (pod.notes.get(DRAIN_ANNOTATION) or pod.labels.get(CLUSTER_API) or (rule.do if rule else "")).lower()
    if wish == "skip":
        return Verdict("ignore", "skip-asked")
    job = pod.owner is not None and pod.owner.kind == "Job" and pod.owner.api_version.startswith("batch/")
    waits = wish == "wait-completed" or (job and settings.jobs == "wait")
    return Verdict("wait", "wait-completed") if waits else None


def _opted_out(pod: PodView, settings: DrainSettings, wall: float) -> Verdict | None:
    """An opt-out that ends within a node's timeout is waited for, any other blocks."""
    left = float("inf") if pod.notes.get(SAFE_TO_EVICT) == "false" else undisturbed_for(pod, wall)
    if left <= 0:
        return None
    return Verdict("wait" if left < settings.node_timeout else "block", "opted-out")


def undisturbed_for(pod: PodView, wall: float) -> float:
    """Seconds that Karpenter's opt-out still asks for: `true`, or a duration from the pod's start; else none."""
    value = pod.notes.get(DO_NOT_DISRUPT, "")
    if value == "true":
        return float("inf")
    match = _DURATION.fullmatch(value)
    if not value or not match or pod.started_at is None:
        return 0.0
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return pod.started_at + hours * 3600 + minutes * 60 + seconds - wall


def _bare(pod: PodView, settings: DrainSettings, _wall: float) -> Verdict | None:
    return Verdict("block", "bare-pod") if pod.owner is None and settings.bare_pods == "block" else None


def _local_data(pod: PodView, settings: DrainSettings, _wall: float) -> Verdict | None:
    return Verdict("block", "local-data") if pod.empty_dirs and settings.empty_dir == "block" else None


# Rules take the same arguments so that they can stand in one list; each uses what it needs.
_RULES: tuple[Callable[[PodView, DrainSettings, float], Verdict | None], ...] = (
    _mirror,
    _daemon,
    _terminating,
    _finished,
    _wished,
    _opted_out,
    _bare,
    _local_data,
)


def runs_for_a_soak(pod: PodView) -> bool:
    """Whether it is a run of a soak: meant for its version's nodes alone, and over with the soak, so it needs no other
    place when it is evicted."""
    return pod.namespace == SOAK_NAMESPACE and SOAK_LABEL in pod.labels


def tolerates(tolerations: tuple[Toleration, ...], taint: Taint) -> bool:
    """Whether any of the tolerations covers the taint."""
    return any(
        (not toleration.effect or toleration.effect == taint.effect)
        and (toleration.key == taint.key or (not toleration.key and toleration.operator == "Exists"))
        and (toleration.operator == "Exists" or toleration.value == taint.value)
        for toleration in tolerations
    )


def meets(labels: Mapping[str, str], requirement: Requirement) -> bool:
    """Whether labels satisfy one expression of a selector or node affinity."""
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            return _compare(value, requirement)
    return False


def _compare(value: str | None, requirement: Requirement) -> bool:
    try:
        left, right = int(value or ""), int(requirement.values[0])
    except (ValueError, IndexError):
        return False
    return left > right if requirement.operator == "Gt" else left < right
