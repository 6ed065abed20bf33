"""The step between an empty node and a drained one: its volumes are taken off it. Pure but for the state.

A node whose machine ends with volumes attached holds them for minutes, and the pods that need them with them.
"""

from collections.abc import Sequence

from pulumi_nodepools.drain import pausing
from pulumi_nodepools.drain.events import Say
from pulumi_nodepools.drain.nodes import NodeTrack
from pulumi_nodepools.drain.overdue import leave_out
from pulumi_nodepools.drain.state import State


def over(state: State, track: NodeTrack, now: float) -> bool:
    """Whether an empty node holds no volume of the pods that were moved; begins to wait if it does."""
    left = state.still_attached(track)
    if not left or track.gave_up_volumes:
        return True
    if track.emptied is None:
        track.emptied = now
        state.deadline(now + state.settings.detach_timeout)
        names = ", ".join(sorted(view.volume for view in left))
        state.actions.append(Say("detaching", track.name, f"node {track.name} is empty, waiting for volumes {names}"))
    return False


def until(state: State, track: NodeTrack, now: float) -> float | None:
    """When the volumes of a node have to be off it; None while it is not that far."""
    return None if track.emptied is None else pausing.until(state, track.emptied, now, state.settings.detach_timeout)


def overdue(state: State, late: Sequence[str], now: float) -> str:
    """Do as the settings say with empty nodes that still hold volumes; returns why the drain has to end, if it has to.

    Nothing can be forced here without risk to the data: `force` goes on, and the volumes follow the machine's end.
    """
    limit = f"{state.settings.detach_timeout:g} s after its last pod had gone"
    names = ", ".join(late)
    if late and state.settings.on_timeout == "fail":
        return f"volumes are still attached to {names}, {limit}"
    for name in late:
        track = state.nodes.tracks[name]
        if state.settings.on_timeout == "skip":
            leave_out(state, track, f"volumes still attached {limit}", now)
        else:
            track.gave_up_volumes = True
            message = f"node {name} still holds volumes {limit}; `onTimeout: force` goes on without them"
            state.actions.append(Say("volumes-left", name, message))
    return ""
