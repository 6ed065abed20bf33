"""What becomes of nodes whose time ran out: the drain fails, they are left out, or what is left on them is deleted.

Pure but for the state. When a node's time is up is drain.machine's business.
"""

from collections.abc import Callable, Sequence

from pulumi_nodepools.drain.classify import Verdict
from pulumi_nodepools.drain.events import LabelNode, Patched, Say
from pulumi_nodepools.drain.model import PodView
from pulumi_nodepools.drain.nodes import NodeTrack
from pulumi_nodepools.drain.state import State

_MARGIN = 30.0
"""Seconds that a kubelet may take beyond the longest grace of what was deleted."""
_TRIES = 3
"""A mark is a help for people: a node that cannot be marked is still named in the report."""


def overdue(state: State, late: Sequence[str], now: float) -> str:
    """Do as the settings say with nodes whose time is up; returns why the drain has to end, if it has to."""
    return _ON_TIMEOUT[state.settings.on_timeout](state, late, now)


def _fail(state: State, late: Sequence[str], _now: float) -> str:
    return f"the timeout of {state.settings.node_timeout:g} s per node ran out on {', '.join(late)}"


def _skip(state: State, late: Sequence[str], now: float) -> str:
    for name in late:
        track = state.nodes.tracks[name]
        for uid in track.left:
            state.evictions.keep(uid)
        state.nodes.end(track, "skipped", now)
        left = f"{len(track.left)} pods left after {state.settings.node_timeout:g} s"
        state.actions.append(Say("node-skipped", name, f"node {name} is left out, cordoned and labelled: {left}"))
        mark(state, name, quarantined=True)
    return ""


def _force(state: State, late: Sequence[str], now: float) -> str:
    tracks = [state.nodes.tracks[name] for name in late]
    stuck = sorted(track.name for track in tracks if track.until is not None or not _delete_all(state, track, now))
    if stuck:
        return f"the time ran out on {', '.join(stuck)}, and what is left there does not go even by force"
    return ""


def _delete_all(state: State, track: NodeTrack, now: float) -> int:
    """Delete what is left on a node, each pod with its own grace; returns how many deletions and graces now run."""
    waits = []
    pods = []
    for uid, verdict in list(track.left.items()):
        pod = state.world.pods[uid]
        if pod.deleted_at is not None:
            waits.append(pod.deleted_at - now - state.wall_offset)
        elif _may_be_forced(verdict):
            pods.append(pod)
            waits.append(max(1.0, pod.grace))
    running = [wait for wait in waits if wait > 0]
    if running:
        track.until = now + max(running) + _MARGIN
        state.at(track.until)
    for pod in pods:
        _delete(state, pod, now)
    return len(running)


def _may_be_forced(verdict: Verdict) -> bool:
    """What budgets, webhooks or its own work hold up. Lost pods and lost data need a consent of their own."""
    return verdict.action == "evict" or verdict.reason == "wait-completed"


def _delete(state: State, pod: PodView, now: float) -> None:
    state.evictions.force(pod, now)
    message = f"pod {pod.path} is deleted by force with its grace of {max(1, pod.grace)} s: node {pod.node} is overdue"
    state.actions.append(Say("forced", pod.node, message))


_ON_TIMEOUT: dict[str, Callable[[State, Sequence[str], float], str]] = {"fail": _fail, "skip": _skip, "force": _force}


def mark(state: State, node: str, *, quarantined: bool) -> None:
    """Write or remove the label of a node that was left out."""
    state.marks[node] = (quarantined, 1)
    state.actions.append(LabelNode(node, quarantined))


def marked(state: State, answer: Patched) -> None:
    """Take in the answer to that."""
    quarantined, tries = state.marks.pop(answer.node)
    if answer.code in (200, 404):
        return
    if tries < _TRIES and answer.code not in (401, 403):
        state.marks[answer.node] = (quarantined, tries + 1)
        state.actions.append(LabelNode(answer.node, quarantined))
        return
    message = f"node {answer.node} could not be labelled: {answer.code} {answer.message}"
    state.actions.append(Say("node-refused", answer.node, message))
