"""What would hold or hurt a drain of given nodes, told before it begins. Pure; cluster/preflight.py looks.

Only what these nodes carry is judged: a budget elsewhere is nobody's business. Whether pods would find room is
drain.placement's question, and what to do about a finding is the caller's.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from pulumi_nodepools.drain import surge
from pulumi_nodepools.drain.acknowledge import covers
from pulumi_nodepools.drain.classify import classify
from pulumi_nodepools.drain.model import NodeView, PodView, WorldView
from pulumi_nodepools.drain.preflight.budgets import budget_findings
from pulumi_nodepools.drain.preflight.finding import Finding
from pulumi_nodepools.drain.preflight.pods import pod_findings
from pulumi_nodepools.drain.preflight.successor import Successor, successor_findings
from pulumi_nodepools.drain.preflight.surroundings import surrounding_findings
from pulumi_nodepools.drain.preflight.volumes import volume_findings
from pulumi_nodepools.drain.preflight.webhooks import webhook_findings
from pulumi_nodepools.drain.preflight.workloads import workload_findings
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.world import World

__all__ = ["Finding", "Successor", "check", "refusing", "standing", "told"]

_ORDER = ("never", "blocker", "warning", "info")


def check(
    view: WorldView,
    matches: Callable[[NodeView], bool],
    settings: DrainSettings,
    wall: float,
    others: Iterable[Finding],
    *,
    successor: Successor | None = None,
) -> list[Finding]:
    """Everything found about the nodes for which `matches` says yes, worst first.

    `wall` is the time of day in seconds since the epoch; `others` are findings that need more than a view; `successor`
    is what takes over, if it is only planned.
    """
    world = World.of(view)
    names = sorted(node.name for node in view.nodes if matches(node))
    judged = [(pod, classify(pod, settings, wall)) for pod in _on(world, names)]
    # What blocks now would have to move as well once that is settled: say all of it at once.
    moving = [pod for pod, verdict in judged if verdict.action in ("evict", "block") and not pod.finished]
    found = [*others, *pod_findings(world, judged, settings, wall), *_found(world, names, moving, settings)]
    found += successor_findings(world, frozenset(names), moving, successor) if successor else ()
    found += webhook_findings(world, frozenset(names), view.webhooks, settings)
    known = [replace(one, acknowledged=covers(settings.acknowledge, one.reason, one.thing)) for one in found]
    return sorted(known, key=lambda one: (one.acknowledged, _ORDER.index(one.severity), one.reason, one.object))


def _on(world: World, names: Sequence[str]) -> Iterator[PodView]:
    return (world.pods[uid] for name in names for uid in world.by_node.get(name, ()))


def _found(
    world: World,
    names: Sequence[str],
    moving: Sequence[PodView],
    settings: DrainSettings,
) -> Iterator[Finding]:
    evicted = [pod for pod in moving if not surge.by_rollout(world, settings, pod)]
    yield from budget_findings(world, evicted)
    yield from workload_findings(world, moving, settings)
    yield from volume_findings(world, moving)
    yield from surrounding_findings(world, names)


def standing(findings: Iterable[Finding]) -> list[Finding]:
    """Those that would stop the drain as things are."""
    return [one for one in findings if one.severity in ("never", "blocker") and not one.acknowledged]


def refusing(findings: Iterable[Finding]) -> list[Finding]:
    """Those of them that no waiting clears: nothing should be begun."""
    return [one for one in standing(findings) if one.severity == "never"]


def told(findings: Sequence[Finding], limit: int = 20) -> str:
    """As many lines as anybody reads, worst first."""
    lines = [f"  - {one}" for one in findings[:limit]]
    return "\n".join([*lines, *([f"  … and {len(findings) - limit} more"] if len(findings) > limit else [])])
