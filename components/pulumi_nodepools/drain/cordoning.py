"""What nodes of a drain lack: the soft taint, the cordon, or our word taken off that they are out of service.

Late joiners and lost cordons are seen to as well. A refusal is told once and tried again later, for how long is
drain.machine's business. Pure but for the state.
"""

from collections.abc import Callable

from pulumi_nodepools.drain.answers import no_right, refusal
from pulumi_nodepools.drain.events import Action, CordonNode, Patched, RestoreNode, Say, TaintNode
from pulumi_nodepools.drain.state import State

_STEPS: dict[str, Callable[[str], Action]] = {"taint": TaintNode, "cordon": CordonNode, "restore": RestoreNode}
_UNSEEN = 5.0
"""Seconds after which a patch that the watch does not show is asked for again."""


def keep(state: State, now: float) -> None:
    """Ask for what nodes lack: all soft taints first, then the cordons."""
    for name in state.nodes.to_ask(now):
        track = state.nodes.tracks[name]
        due = state.nodes.step_due(track, now)
        del state.nodes.look[name]  # until it changes, or its patch is answered
        if not due or (state.phase == "taint" and due == "cordon"):
            continue
        track.asked[due] = float("inf")  # until it is answered
        if due == "cordon":
            track.cordon_asked = track.cordon_asked if track.cordon_asked is not None else now
        state.actions.append(_STEPS[due](name))


def patched(state: State, event: Patched, now: float) -> str:
    """Take in the answer to one of these; returns why the drain has to end, if a right is missing."""
    track = state.nodes.tracks[event.node]
    if event.code in (200, 404):
        track.failures, track.trouble = 0, ""
        track.asked[event.step] = now + _UNSEEN
    elif no_right(event.code, event.message):
        return refusal(f"{event.step} of node {event.node}", event.code, event.message)
    else:
        track.failures, track.trouble = track.failures + 1, f"{event.step}: {event.code} {event.message}"
        if track.failures == 1:
            state.actions.append(Say("node-refused", track.name, f"node {track.name}: {track.trouble}"))
        track.asked[event.step] = now + min(15.0, 0.5 * 2.0**track.failures)
    state.nodes.ask_again(event.node, track.asked[event.step])
    state.at(track.asked[event.step])
    return ""
