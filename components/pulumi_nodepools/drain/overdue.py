"""What becomes of nodes whose time ran out: the drain fails, they are left out, or what is left on them is deleted.

Pure but for the state. When a node's time is up is drain.machine's business.
"""

from collections.abc import Callable, Sequence

from pulumi_nodepools.drain.classify import Verdict
from pulumi_nodepools.drain.events import LabelNode, Patched, Say
from pulumi_nodepools.drain.model import PodView
from pulumi_nodepools.drain.nodes import NodeTrack
from pulumi_nodepools.drain.state import State
from pulumi_nodepools.drain.world import counts_as_ready

_MARGIN = 30.0
"""Seconds that a kubelet may take beyond the longest grace of what was deleted."""
_LOOK_AGAIN = 5.0
"""Seconds between two looks at pods that may not be forced yet."""
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
        leave_out(state, track, f"{len(track.left)} pods left after {state.settings.node_timeout:g} s", now)
    return ""


def leave_out(state: State, track: NodeTrack, why: str, now: float) -> None:
    """Go on without a node, and mark it."""
    state.nodes.end(track, "skipped", now)
    message = f"node {track.name} is left out, cordoned and labelled: {why}"
    state.actions.append(Say("node-skipped", track.name, message))
    mark(state, track.name, quarantined=True)


def _force(state: State, late: Sequence[str], now: float) -> str:
    stuck = sorted(name for name in late if not _goes_on(state, state.nodes.tracks[name], now))
    if stuck:
        return f"the time ran out on {', '.join(stuck)}, and what is left there does not go even by force"
    return ""


def _goes_on(state: State, track: NodeTrack, now: float) -> bool:
    """Delete what may be deleted by now, each pod with its own grace; False if nothing is left to wait for."""
    ends, held = [track.forced_end], 0
    for uid, verdict in list(track.left.items()):
        pod = state.world.pods[uid]
        if pod.deleted_at is not None:
            ends.append(pod.deleted_at - state.wall_offset + _MARGIN)
        elif not _may_be_forced(verdict) or state.evictions.is_forced(uid):
            continue
        elif may_force(state, track, pod, now):
            ends.append(now + max(1.0, pod.grace) + _MARGIN)
            _delete(state, track, pod, now)
        else:
            held += 1
    track.forced_end = max(ends)
    if held and track.until is None:
        rule = ", ".join(f"{key} {seconds:g} s" for key, seconds in state.settings.force.to_props().items())
        message = f"node {track.name} is overdue: {held} pods under budgets wait until they may be forced ({rule})"
        state.actions.append(Say("overdue", track.name, message))
    if not held and track.forced_end <= now:
        return False
    track.until = now + _LOOK_AGAIN if held else track.forced_end
    state.at(track.until)
    return True


def may_force(state: State, track: NodeTrack, pod: PodView, now: float) -> bool:
    """Whether the rule of the settings lets this pod go now; pods without a budget need none."""
    rule, guards = state.settings.force, state.world.guards(pod)
    if not guards:
        return True
    wall = now + state.wall_offset
    if rule.interval and track.forced_at is not None and now < track.forced_at + rule.interval:
        return False
    if rule.pod_age and (pod.started_at is None or wall < pod.started_at + rule.pod_age):
        return False
    return not rule.siblings_ready or _siblings_ready(state, pod, guards, wall - rule.siblings_ready)


def _siblings_ready(state: State, pod: PodView, guards: Sequence[str], since: float) -> bool:
    """Whether every other pod of its budgets has been ready since then, and none of them is on its way out."""
    nearby = (state.world.pods[uid] for uid in state.world.by_namespace.get(pod.namespace, ()))
    return all(
        counts_as_ready(sibling)
        and sibling.ready_since is not None
        and sibling.ready_since <= since
        and not state.evictions.is_forced(sibling.uid)
        for sibling in nearby
        if sibling.uid != pod.uid and not sibling.finished and not set(guards).isdisjoint(state.world.guards(sibling))
    )


def _may_be_forced(verdict: Verdict) -> bool:
    """What budgets, webhooks or its own work hold up. Lost pods and lost data need a consent of their own."""
    return verdict.action == "evict" or verdict.reason == "wait-completed"


def _delete(state: State, track: NodeTrack, pod: PodView, now: float) -> None:
    if state.world.guards(pod):
        track.forced_at = now
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
    if answer.code in (200, 404) or state.nodes.present(answer.node) is None:
        return
    if tries < _TRIES and answer.code not in (401, 403):
        state.marks[answer.node] = (quarantined, tries + 1)
        state.actions.append(LabelNode(answer.node, quarantined))
        return
    message = f"node {answer.node} could not be labelled: {answer.code} {answer.message}"
    state.actions.append(Say("node-refused", answer.node, message))
