"""Whether anything new may be started: what is known must be fresh, and nobody may have asked to wait.

Pure but for the state. A drain that cannot see evicts nothing and its deadlines run on; one that was asked to wait
does nothing at all, not even ask its guard, and its nodes get back the time that it stood still.
"""

from pulumi_nodepools.drain.events import AskGuard, GuardLater, Pause, Resume, Say, WatchBack, WatchLost
from pulumi_nodepools.drain.state import State

BLIND = 5.0
"""Evictions pause once pods or budgets were not heard of for so long: pacing and budgets would be guesses."""
_CATCH_UP = 1.0
"""So long after a watch is back, what was missed meanwhile has been told."""
_GUARD_AGAIN = 2.0
_NEEDED = ("pods", "budgets")


def watch_lost(state: State, event: WatchLost, now: float) -> None:
    """A kind of object is not heard of any more."""
    if event.kind in _NEEDED and state.lost.setdefault(event.kind, now) == now:
        state.at(now + BLIND)


def watch_back(state: State, event: WatchBack, now: float) -> None:
    """It is heard again."""
    since = state.lost.pop(event.kind, now)
    if now >= since + BLIND:
        state.sees_at = now + _CATCH_UP
        state.at(state.sees_at)


def look_for_blindness(state: State, now: float) -> None:
    """What is known of pods and budgets must be fresh, or nothing new is evicted."""
    lost = sorted(kind for kind, since in state.lost.items() if now >= since + BLIND)
    paused = bool(lost) or now < state.sees_at
    if paused and not state.paused:
        message = (
            f"no news of {' and '.join(lost)} for {BLIND:g} s: nothing new is evicted until they are watched again"
        )
        state.actions.append(Say("paused", "", message))
    elif state.paused and not paused:
        state.actions.append(Say("resumed", "", "pods and budgets are watched again: evictions go on"))
    state.paused = paused


def pause(state: State, event: Pause, now: float) -> None:
    """Stand still from now on."""
    if not state.held:
        state.holds.append((now, None))
    state.held = event.reason
    state.actions.append(Say("paused", "", f"{event.reason}: nothing new is started"))


def resume(state: State, _: Resume, now: float) -> None:
    """Go on; every limit that was running is as far away as it was."""
    if not state.held:
        return
    since, _end = state.holds.pop()
    state.holds.append((since, now))
    state.held = ""
    state.next_deadline = now
    for start in (state.gate_since, state.phases[-1][1]):
        state.at(until(state, start, now))
    state.actions.append(Say("resumed", "", f"resumed after {now - since:.0f} s"))


def ask_guard(state: State, now: float) -> None:
    """Ask only now that it may go on: what the guard allows begins with freezing the groups."""
    if now >= state.guard_at:
        state.guard_at = float("inf")
        state.actions.append(AskGuard())


def guard_later(state: State, _: GuardLater, now: float) -> None:
    """What the guard misses is on its way."""
    state.guard_at = now + _GUARD_AGAIN
    state.at(state.guard_at)


def until(state: State, since: float, now: float, limit: float | None = None) -> float:
    """When a limit (a node's timeout) that began at `since` is over, without the time that it was asked to wait."""
    stood = sum(max(0.0, (now if end is None else end) - max(start, since)) for start, end in state.holds)
    return since + (state.settings.node_timeout if limit is None else limit) + stood
