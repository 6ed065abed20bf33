"""Where a drain stands, for whoever shows it: made from its state, with the nodes that go and those that stay. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from pulumi_nodepools.drain.model import Diagnosis, NodeProgress, NodeView, Progress
from pulumi_nodepools.drain.state import State
from pulumi_nodepools.names import POOL_LABEL, VERSION_LABEL


def progress_of(state: State, now: float, blocked: list[Diagnosis], message: str = "") -> Progress:
    """The drain as it is now; `message` says what has just happened, if anything has."""
    done, total, left = state.nodes.over, len(state.nodes.tracks), state.nodes.pods_left
    return Progress(
        state.phase,
        done,
        total,
        left,
        blocked,
        message or f"{state.phase}: {done} of {total} nodes drained, {left} pods left",
        partial(_nodes, state),
        state.capacity.points[-1] if state.capacity.points else None,
        state.capacity.floor,
        now - state.first_batch(now),
    )


def node_progress(node: NodeView, phase: str, pods_left: int) -> NodeProgress:
    """One node as it is seen."""
    version = node.labels.get(VERSION_LABEL, "")
    return NodeProgress(node.name, phase, pods_left, version, node.zone, node.ready, node.unschedulable)


def dated(found: Sequence[Diagnosis], before: Sequence[Diagnosis], wall: float) -> list[Diagnosis]:
    """`found` with the moment since which each object does not move, as far as it was among those `before`."""
    known = {one.object: one.since for one in before}
    return [replace(one, since=known.get(one.object, wall)) for one in found]


def _nodes(state: State) -> tuple[NodeProgress, ...]:
    seen, tracks = state.world.nodes, state.nodes.tracks
    ours = [
        node_progress(seen[name], track.phase, len(track.left))
        if name in seen
        else NodeProgress(name, track.phase, len(track.left))
        for name, track in tracks.items()
    ]
    pools = {seen[name].labels.get(POOL_LABEL, "") for name in tracks if name in seen} - {""}
    stay = [
        node_progress(node, "stays", 0)
        for name, node in seen.items()
        if name not in tracks and node.labels.get(POOL_LABEL, "") in pools
    ]
    return (*ours, *stay)
