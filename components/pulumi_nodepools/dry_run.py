"""What a drain would do now, without doing it: each pod's fate, what blocks, whether the rest has room."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from pulumi_nodepools.drain.classify import classify
from pulumi_nodepools.drain.model import Diagnosis, NodeView, WorldView
from pulumi_nodepools.drain.preflight import Finding, standing
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import CapacityError


def plan(
    world: WorldView,
    matches: Callable[[NodeView], bool],
    settings: DrainSettings,
    guard: Callable[[WorldView], None],
    findings: Sequence[Finding],
) -> dict[str, Any]:
    """The document of `drain --dry-run`: outcome `drainable` or `blocked`, and why.

    `guard` is the drain's own, `findings` those of a preflight of the same world.
    """
    names = sorted(node.name for node in world.nodes if matches(node))
    verdicts = [(pod, classify(pod, settings, time.time())) for pod in world.pods if pod.node in set(names)]
    diagnosis = [finding.diagnosis() for finding in standing(findings)]
    try:
        guard(world)
    except CapacityError as error:
        diagnosis.append(Diagnosis("refused", "", "", str(error), ""))
    return {
        "schemaVersion": 1,
        "command": "drain --dry-run",
        "outcome": "blocked" if diagnosis else "drainable",
        "nodes": names,
        "pods": dict(Counter(verdict.action for _, verdict in verdicts)),
        "evict": sorted(pod.path for pod, verdict in verdicts if verdict.action == "evict"),
        "diagnosis": [entry.to_json() for entry in diagnosis],
    }
