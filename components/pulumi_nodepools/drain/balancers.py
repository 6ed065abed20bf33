"""The step before a node's first eviction: load balancers send it nothing new any more. Pure but for the state.

For a node whose ingress is a DaemonSet nothing is ever evicted, so this is the only drain that it gets. Failing here
ends the drain whatever `onTimeout` says: going on would cut connections.
"""

from collections.abc import Sequence

from pulumi_nodepools.drain import pausing
from pulumi_nodepools.drain.events import BalancersSeen, LeaveBalancers, Say
from pulumi_nodepools.drain.nodes import NodeTrack
from pulumi_nodepools.drain.state import State

_ASK_AGAIN = 3.0


def begin(state: State, track: NodeTrack, now: float) -> None:
    """The node is to leave its load balancers; until it has, none of its pods is due."""
    if state.balanced:
        track.started, track.closed, track.leaving = None, True, now
        state.nodes.leaving[track.name] = None
        state.deadline(now + state.settings.deregistration_timeout)


def ask(state: State, now: float) -> None:
    """Ask for the nodes that are still leaving, all at once."""
    names = [name for name in state.nodes.leaving if state.nodes.tracks[name].asked.get("balancers", now) <= now]
    for name in names:
        state.nodes.tracks[name].asked["balancers"] = float("inf")  # until it is answered
    if names:
        state.actions.append(LeaveBalancers(tuple(names)))


def seen(state: State, event: BalancersSeen, now: float) -> None:
    """Begin with the node's pods once nothing is waited for; ask again soon otherwise."""
    track = state.nodes.tracks[event.node]
    track.asked["balancers"] = now + _ASK_AGAIN
    if event.node not in state.nodes.leaving:
        return
    track.waits_for, track.allowance = event.waiting, event.allowance
    if event.waiting:
        state.at(now + _ASK_AGAIN)
        return
    state.nodes.leaving.pop(event.node)
    track.closed, track.left_balancers, track.started = False, now, now
    state.deadline(now + state.settings.node_timeout)
    for uid in track.left:
        if track.due(uid):
            state.evictions.add(state.world.pods[uid], now)


def until(state: State, track: NodeTrack, now: float) -> float | None:
    """When a node has to have left, with what its target groups take by themselves added; None if it has."""
    if not track.closed or track.leaving is None:
        return None
    return pausing.until(state, track.leaving, now, state.settings.deregistration_timeout + track.allowance)


def overdue(state: State, late: Sequence[str]) -> str:
    """Why the drain has to end if nodes have not left their load balancers in time."""
    if not late:
        return ""
    limit = state.settings.deregistration_timeout
    state.actions.extend(Say("balancers", name, f"node {name} still gets traffic") for name in late)
    return f"{', '.join(late)} did not leave their load balancers in {limit:g} s; nothing was evicted there"
