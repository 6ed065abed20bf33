"""How a drain stands that another process runs, or ran: made from the cluster and from that run's note. Pure.

What the cluster shows counts: nodes, their cordons, the pods left on them, ready capacity. Only what it cannot show
comes from the note: how many nodes there were, what is being tried, why something does not move.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pulumi_nodepools.drain.classify import classify
from pulumi_nodepools.drain.model import Diagnosis, NodeProgress, NodeView, PodView, Point, Progress
from pulumi_nodepools.drain.note import Note
from pulumi_nodepools.drain.progress import node_progress
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.names import DRAINING_TAINT, OWNER_ANNOTATION, POOL_LABEL, UNMANAGED, VERSION_LABEL

_LOCAL = DrainSettings(empty_dir="allow", bare_pods="allow")
"""How the run is set is not known here: it decides how a pod leaves, not whether it has to."""


@dataclass(frozen=True)
class Run:
    """What is known of a pool's drain beside its nodes."""

    pool: str
    note: Note | None
    alive: bool
    """Whether the process that wrote the note still holds the pool."""

    @property
    def owner(self) -> str:
        """What it drains, as its nodes say."""
        return self.note.owner if self.note else ""

    @property
    def phase(self) -> str:
        """Where it stands, for people."""
        if self.note is None:
            return ""
        if self.note.outcome:
            return self.note.outcome
        return self.note.phase if self.alive else "its run died, run it again to go on"


def pods_left(pods: Sequence[PodView], wall: float) -> Counter[str]:
    """How many pods a drain of each node would still have to move, by the node's name."""
    return Counter(pod.node for pod in pods if pod.node and classify(pod, _LOCAL, wall).action != "ignore")


def progress(run: Run, nodes: Sequence[NodeView], left: Mapping[str, int], before: Progress | None) -> Progress:
    """The drain as it is seen now. Nodes that were seen `before` and are no more are shown as gone."""
    ours = [node for node in nodes if _drained(run, node)]
    names = {node.name for node in ours}
    stay = [node for node in nodes if node.name not in names and _in_pool(run.pool, node)]
    going = [node_progress(node, _phase(run, node, left[node.name]), left[node.name]) for node in ours]
    gone = _gone(before, {node.name for node in nodes})
    total = max(run.note.nodes_total if run.note else 0, len(going) + len(gone))
    unfinished = sum(node.phase not in ("done", "gone") for node in going)
    note = run.note
    return Progress(
        run.phase,
        total - unfinished,
        total,
        sum(node.pods_left for node in going),
        _blocked(run, left),
        "",
        partial(tuple, (*going, *gone, *(node_progress(node, "stays", 0) for node in stay))),
        Point(0.0, _usable(ours), _usable(stay)),
        note.floor if note else None,
        note.working if note and run.alive else 0.0,
    )


def in_progress(run: Run, nodes: Sequence[NodeView]) -> bool:
    """Whether a drain runs, or one has left something behind: nodes that are still cordoned for it."""
    if run.note is None or run.note.outcome == "drained":
        return False
    return run.alive or any(node.annotations.get(OWNER_ANNOTATION) == run.owner for node in nodes)


def _drained(run: Run, node: NodeView) -> bool:
    """Whether a node is among those that the run drains."""
    if node.annotations.get(OWNER_ANNOTATION) == run.owner:
        return bool(run.owner)
    pool, version = (node.labels.get(label, "") for label in (POOL_LABEL, VERSION_LABEL))
    return bool(pool) and f"{pool}/{version}" == run.owner


def _in_pool(pool: str, node: NodeView) -> bool:
    return node.labels.get(POOL_LABEL, UNMANAGED) == pool != UNMANAGED


def _phase(run: Run, node: NodeView, left: int) -> str:
    if run.note and node.name in run.note.skipped:
        return "skipped"
    if left == 0 and node.unschedulable and _tainted(node):
        return "done"
    return "active" if run.alive and run.note and node.name in run.note.active else "waiting"


def _tainted(node: NodeView) -> bool:
    return any(taint.key == DRAINING_TAINT for taint in node.taints)


def _gone(before: Progress | None, there: set[str]) -> list[NodeProgress]:
    known = before.nodes() if before else ()
    return [
        replace(node, phase="gone", pods_left=0) for node in known if node.phase != "stays" and node.name not in there
    ]


def _usable(nodes: Sequence[NodeView]) -> int:
    return sum(node.ready and not node.unschedulable for node in nodes)


def _blocked(run: Run, left: Mapping[str, int]) -> list[Diagnosis]:
    """What does not move, in the run's own words; once it is over only where pods are still left."""
    if run.note is None or run.note.outcome == "drained":
        return []
    return [
        Diagnosis(one.reason, one.object, one.node, one.message, one.fix, since=one.since)
        for one in run.note.blocked
        if run.alive or left.get(one.node)
    ]
