"""Which admission webhooks have nobody who answers for them while their only pod moves. Pure.

What such a webhook judges is refused meanwhile; one that judges pods may refuse its own next one, and then for ever.
"""

from collections.abc import Collection, Iterator, Sequence

from pulumi_nodepools.drain import surge
from pulumi_nodepools.drain.model import PodView, WebhookView
from pulumi_nodepools.drain.preflight.finding import Finding, Severity
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.world import World, counts_as_ready


def webhook_findings(
    world: World, names: Collection[str], webhooks: Sequence[WebhookView], settings: DrainSettings
) -> Iterator[Finding]:
    """`names` are the nodes that are to be drained."""
    for webhook in webhooks:
        backends = _backends(world, webhook)
        if backends and all(pod.node in names for pod in backends) and _absent(world, backends, settings):
            yield _finding(webhook, backends)


def _backends(world: World, webhook: WebhookView) -> list[PodView]:
    nearby = (world.pods[uid] for uid in world.by_namespace.get(webhook.namespace, ()))
    return [pod for pod in nearby if counts_as_ready(pod) and webhook.selector.items() <= pod.labels.items()]


def _absent(world: World, backends: Sequence[PodView], settings: DrainSettings) -> bool:
    """Whether all may be gone at one moment: neither budgets nor pacing nor a surge keep one, nor a DaemonSet."""
    if any(pod.owner and pod.owner.kind == "DaemonSet" for pod in backends):
        return False
    if all(world.guards(pod) or surge.by_rollout(world, settings, pod) for pod in backends):
        return False
    return len(backends) == 1 or settings.unbudgeted == "all"


def _finding(webhook: WebhookView, backends: Sequence[PodView]) -> Finding:
    paths = ", ".join(sorted(pod.path for pod in backends))
    message = (
        f"it refuses what it cannot judge (failurePolicy Fail), and all that answers for it is on nodes that go: "
        f"{paths} behind service {webhook.namespace}/{webhook.service}"
    )
    if webhook.own_pods:
        message += "; it judges pods in its own namespace too, so it may refuse its own next one for ever"
    fix = (
        "run two replicas with a PodDisruptionBudget, exempt its namespace, or have its pod replaced first "
        "(`singleReplicas: surge`)"
    )
    severity: Severity = "blocker" if webhook.own_pods else "warning"
    numbers = {"backends": len(backends)}
    return Finding(severity, "webhook-backends", f"webhook {webhook.name}", message, fix, numbers=numbers)
