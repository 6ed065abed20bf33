"""Which pods block, would be lost, lose data, take too long, or come back. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from pulumi_nodepools.drain.classify import CORDON, Verdict, tolerates
from pulumi_nodepools.drain.diagnose import diagnose
from pulumi_nodepools.drain.model import PodView
from pulumi_nodepools.drain.preflight.finding import Finding, Severity
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.world import World

_STUCK = 60.0
"""Seconds past the end of its grace after which a terminating pod is not just slow."""
_BLOCKS: dict[str, Severity] = {"bare-pod": "never", "local-data": "never", "opted-out": "blocker"}
_HARMLESS = frozenset({"batch.kubernetes.io/job-tracking", "foregroundDeletion", "orphan"})
"""Finalizers of Kubernetes itself, which are taken off without anybody's help."""

_Trait = tuple[Severity, str, str, str]
"""Severity, reason, what is true of the pods of one workload, and what would help."""


def pod_findings(
    world: World, judged: Sequence[tuple[PodView, Verdict]], settings: DrainSettings, wall: float
) -> Iterator[Finding]:
    """What blocks, pod by pod; everything else once for each workload."""
    traits: dict[tuple[str, _Trait], int] = defaultdict(int)
    for pod, verdict in judged:
        if verdict.action == "block":
            yield Finding.of(_BLOCKS.get(verdict.reason, "blocker"), diagnose(world, pod, None, verdict.reason, wall))
        elif pod.deleted_at is not None:
            if wall > pod.deleted_at + _STUCK:
                yield Finding.of("blocker", diagnose(world, pod, None, verdict.reason, wall))
        elif verdict.action != "ignore" and not pod.finished:
            for trait in _traits(pod, settings):
                traits[(world.workload(pod), trait)] += 1
    for (workload, (severity, reason, what, fix)), number in traits.items():
        message = f"{number} of its pods here {what}"
        yield Finding(severity, reason, f"workload {workload}", message, fix, numbers={"pods": number})


def _traits(pod: PodView, settings: DrainSettings) -> Iterator[_Trait]:
    if pod.owner is None:
        yield "warning", "bare-pod", "has no controller: once evicted it is lost", "give it a controller"
    if pod.empty_dirs:
        volumes = ", ".join(pod.empty_dirs)
        yield "info", "local-data", f"lose their emptyDir volumes ({volumes})", "nothing if that is only scratch data"
    if pod.host_paths:
        paths = ", ".join(pod.host_paths)
        yield "warning", "host-path", f"leave behind what they keep on the node ({paths})", "see whether it is needed"
    held = [name for name in pod.finalizers if name not in _HARMLESS]
    if held:
        what = f"are held by finalizers ({', '.join(held)}) until their owner takes them off"
        yield "warning", "finalizer", what, "see that the finalizer's controller runs, and not on these nodes alone"
    if pod.grace > settings.node_timeout:
        what = f"may take {pod.grace} s to end, more than the node's timeout of {settings.node_timeout:g} s"
        yield "warning", "grace-over-timeout", what, f"raise `timeout` above {pod.grace}s, or shorten their grace"
    if pod.owner and tolerates(pod.tolerations, CORDON):
        what = "tolerate the cordon, so their controller may put new ones back on these nodes"
        yield "warning", "returns-to-node", what, "remove that toleration from its template"
