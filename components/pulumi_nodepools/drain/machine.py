"""The drain as a machine: an event and the time come in, actions go out. Pure but for the state it owns.

Order: refuse what can never clear, ask the guard, taint all nodes softly, cordon all, then batch by batch: guard,
leave the load balancers, evict, wait until nodes are empty, volumes off them and workloads back, soak, have the user's
command judge. Everything is recomputed from the world: a drain that was killed continues by starting again. Carrying
actions out is cluster/drainer.py's business.
"""

import heapq
from collections.abc import Callable

from pulumi_nodepools.drain import balancers, batch_gate, cordoning, detaching, pausing
from pulumi_nodepools.drain.diagnose import diagnose
from pulumi_nodepools.drain.events import (
    Action,
    Answered,
    BalancersSeen,
    CommandEnded,
    Event,
    Finish,
    Gone,
    GuardLater,
    GuardPassed,
    InstanceSeen,
    Patched,
    Pause,
    Relisted,
    Remember,
    Resume,
    Say,
    Seen,
    Stop,
    Synced,
    Tick,
    WatchBack,
    WatchLost,
)
from pulumi_nodepools.drain.intake import gone, judge, relisted, seen
from pulumi_nodepools.drain.model import Diagnosis
from pulumi_nodepools.drain.nodes import NodeTrack
from pulumi_nodepools.drain.overdue import mark, marked, overdue
from pulumi_nodepools.drain.state import Phase, State
from pulumi_nodepools.drain.unreachable import instance_seen, look, released
from pulumi_nodepools.names import QUARANTINE_LABEL
from pulumi_nodepools.units import share


def step(state: State, event: Event, now: float) -> list[Action]:
    """Take in one event; returns what is to be done now. After Finish nothing follows."""
    if state.finish:
        return []
    state.actions = []
    _HANDLERS[type(event)](state, event, now)
    while state.timers and state.timers[0] <= now:
        heapq.heappop(state.timers)
    _advance(state, now)
    return state.actions


def _synced(state: State, _: Synced, now: float) -> None:
    for node in state.world.nodes.values():
        state.nodes.seen(node, now)
    state.capacity.begin(now)
    for track in state.nodes.tracks.values():
        for uid in state.world.by_node.get(track.name, ()):
            state.nodes.judge(state.world.pods[uid], now + state.wall_offset, fresh=False)
            state.workloads.remember(state.world.pods[uid])
    state.unscheduled.begin([there for there in map(state.nodes.present, state.nodes.tracks) if there])
    if not state.nodes.tracks:
        _finish(state, Finish("drained", "no nodes belong to this drain"), now)
        return
    stuck = [
        diagnose(state.world, state.world.pods[uid], None, verdict.reason, now + state.wall_offset)
        for track in state.nodes.order()
        for uid, verdict in track.left.items()
        if verdict.action == "block"
    ]
    if stuck:
        _end_blocked(state, f"{len(stuck)} pods can never leave by themselves; no node was touched", stuck, now)
        return
    if batch_gate.bad(state):
        _enter(state, "gate", now)
    else:
        _begin(state, now)


def _begin(state: State, now: float) -> None:
    """As far as we see all is good before the first batch; the user's command has its say too."""
    if batch_gate.to_check(state):
        _enter(state, "check", now)
    else:
        _enter(state, "guard", now, "taint")


def _guard_passed(state: State, _: GuardPassed, now: float) -> None:
    if state.phase != "guard":
        return
    if state.guard_for == "taint":
        _enter(state, "taint", now)
    elif state.nodes.lacking:  # a node that joined meanwhile: no eviction before its cordon
        _enter(state, "cordon", now)
    else:
        _start_batch(state, now)


_TRIED: dict[str, Callable[[State, Patched], None]] = {"label": marked, "release": released}
"""Steps that a drain can do without: tried a few times."""


def _patched(state: State, event: Patched, now: float) -> None:
    if event.step in _TRIED:
        _TRIED[event.step](state, event)
    elif denied := cordoning.patched(state, event, now):
        _finish(state, Finish("denied", denied), now)


def _answered(state: State, event: Answered, now: float) -> None:
    track = state.evictions.tracks[event.uid]
    state.evictions.answered(event, now)
    if track.by_rollout:
        state.workloads.moved_by_rollout()
    else:
        state.workloads.touch(track.owner)
    if state.evictions.forbidden:
        _finish(state, Finish("denied", state.evictions.forbidden), now)


def _stop(state: State, event: Stop, now: float) -> None:
    _end_blocked(state, f"stopped: {event.reason}", state.blocked(now), now)


def _tick(state: State, _: Tick, now: float) -> None:
    if now < state.rejudge_at:
        return
    state.rejudge_at = float("inf")
    for track in list(state.nodes.active.values()):
        for uid, verdict in list(track.left.items()):
            pod = state.world.pods.get(uid)
            if verdict.reason == "opted-out" and pod:
                judge(state, pod, now, fresh=False)


_HANDLERS: dict[type, Callable[..., None]] = {
    Seen: seen,
    Gone: gone,
    Relisted: relisted,
    Synced: _synced,
    GuardPassed: _guard_passed,
    GuardLater: pausing.guard_later,
    Patched: _patched,
    Answered: _answered,
    Stop: _stop,
    Tick: _tick,
    Pause: pausing.pause,
    Resume: pausing.resume,
    WatchLost: pausing.watch_lost,
    WatchBack: pausing.watch_back,
    BalancersSeen: balancers.seen,
    InstanceSeen: instance_seen,
    CommandEnded: batch_gate.ended,
}


def _advance(state: State, now: float) -> None:
    """Go on as far as the state allows."""
    if state.finish or state.phase == "sync":
        return
    if now >= state.started + state.settings.total_timeout:
        limit = state.settings.total_timeout
        _end_blocked(state, f"the total timeout of {limit:g} s ran out", state.blocked(now), now)
        return
    pausing.look_for_blindness(state, now)
    if state.held:
        return
    if state.phase not in ("guard", "check") or state.guard_for != "taint":
        cordoning.keep(state, now)
    before = None
    while before != state.phase and not state.finish:
        before = state.phase
        _PHASES[state.phase](state, now)


def _in_taint(state: State, now: float) -> None:
    if not state.nodes.untainted:
        _enter(state, "cordon", now)
        state.nodes.look.update(state.nodes.lacking)
        cordoning.keep(state, now)
    else:
        _in_time(state, now)


def _in_cordon(state: State, now: float) -> None:
    if not state.nodes.lacking:
        _enter(state, "guard", now, "batch")
    else:
        _in_time(state, now)


def _in_time(state: State, now: float) -> None:
    """Nodes that cannot be tainted or cordoned must not be waited for in silence."""
    limit = state.settings.node_timeout
    if now >= pausing.until(state, state.phases[-1][1], now):
        names = ", ".join(sorted(state.nodes.lacking))
        _end_blocked(state, f"{names} could not be tainted and cordoned in {limit:g} s", state.blocked(now), now)


def _start_batch(state: State, now: float) -> None:
    """Take the next nodes; those with nothing left come along without being counted."""
    size = share("drain.batchSize", state.settings.batch_size, len(state.nodes.tracks))
    waiting = state.nodes.order()
    chosen = [track for track in waiting if track.left][:size]
    state.rejudge_at = now
    batch_gate.begin(state, tuple(track.name for track in chosen))
    for track in [track for track in waiting if not track.left] + chosen:
        state.nodes.begin(track, now)
        balancers.begin(state, track, now)
        for uid in track.left:
            if track.due(uid):
                state.evictions.add(state.world.pods[uid], now)
    state.deadline(now + state.settings.node_timeout)
    _enter(state, "batch", now)
    if chosen:
        pods = (state.world.pods[uid] for track in chosen for uid in track.left)
        state.actions.append(Remember(state.workloads.at_stake(pods)))
        state.actions.append(Say("batch", "", f"batch {state.batch}: {', '.join(track.name for track in chosen)}"))


def _in_batch(state: State, now: float) -> None:
    balancers.ask(state, now)
    for name in list(state.nodes.emptied):
        track = state.nodes.tracks[name]
        if state.nodes.empty(track, now) and detaching.over(state, track, now):
            state.nodes.end(track, "done", now)
            state.actions.append(Say("node-drained", name, f"node {name} is drained"))
            if QUARANTINE_LABEL in state.world.nodes[name].labels:
                mark(state, name, quarantined=False)
    if now >= state.next_deadline and _deadline_passed(state, now):
        return
    look(state, now)
    if not state.paused:
        state.actions.extend(state.evictions.choose(now))
    if not state.nodes.active:
        _enter(state, "gate", now)


def _deadline_passed(state: State, now: float) -> bool:
    """Deal with the nodes whose time is up; True if that ends the drain."""
    late = sorted(name for name, end in _ends(state, now).items() if end <= now)
    if late:
        holding = [name for name in late if state.nodes.tracks[name].emptied is not None]
        serving = [name for name in late if name in state.nodes.leaving]
        pods = [name for name in late if name not in holding and name not in serving]
        message = (
            balancers.overdue(state, serving)
            or detaching.overdue(state, holding, now)
            or (overdue(state, pods, now) if pods else "")
        )
        if message:
            _end_blocked(state, message, state.blocked(now), now)
            return True
    ends = _ends(state, now)
    state.next_deadline = min(ends.values(), default=float("inf"))
    if ends:
        state.at(state.next_deadline)
    return False


def _ends(state: State, now: float) -> dict[str, float]:
    return {name: _end(state, track, now) for name, track in state.nodes.active.items()}


def _end(state: State, track: NodeTrack, now: float) -> float:
    """When a node's time is up: that of the step before its evictions or after them while it is there."""
    for step_end in (balancers.until(state, track, now), detaching.until(state, track, now)):
        if step_end is not None:
            return step_end
    if track.until is not None:
        return track.until
    return pausing.until(state, now if track.started is None else track.started, now)


def _in_gate(state: State, now: float) -> None:
    """Wait until every workload that was touched is back where it was, and nobody has more pods without a node."""
    if state.nodes.active:
        _enter(state, "batch", now)
    elif batch_gate.good(state, now):
        _after_gate(state, now)
    elif batch_gate.bad(state) and now >= pausing.until(state, state.gate_since, now):
        _end_blocked(state, batch_gate.overdue(state), state.blocked(now), now)


def _after_gate(state: State, now: float) -> None:
    if state.marks or state.releases:
        return  # what nodes left out or given up are marked with is still being written
    if not state.batch:
        _begin(state, now)
        return
    soak = state.settings.batch_soak and not state.judgement.soaked
    if soak and state.nodes.phases["waiting"] and state.workloads.touched_in_batch:
        state.soak_until = now + state.settings.batch_soak
        state.at(state.soak_until)
        _enter(state, "soak", now)
    elif batch_gate.to_check(state):
        _enter(state, "check", now)
    else:
        _next(state, now)


def _in_soak(state: State, now: float) -> None:
    if now >= state.soak_until:
        # Whoever lags now has to come back, and then it soaks anew.
        state.judgement.soaked = not batch_gate.bad(state)
        _enter(state, "gate", now)


def _in_check(state: State, now: float) -> None:
    """Let the user's command judge: what was there before the first batch, and each batch."""
    batch_gate.ask(state)
    verdict = state.judgement.ended
    if state.nodes.active:
        _enter(state, "batch", now)
    elif verdict and verdict.failure:
        message, diagnosis = batch_gate.explain(state, verdict.failure)
        _end_blocked(state, message, [diagnosis], now)
    elif verdict and not state.batch:
        _enter(state, "guard", now, "taint")
    elif verdict and batch_gate.bad(state):
        _enter(state, "gate", now)
    elif verdict:
        _next(state, now)


def _next(state: State, now: float) -> None:
    """The next batch, or the end if there is none."""
    if state.nodes.phases["waiting"]:
        _enter(state, "guard", now, "batch")
        return
    skipped = sorted(track.name for track in state.nodes.in_phase("skipped"))
    if not skipped:
        _finish(state, Finish("drained", f"{state.nodes.over} nodes are drained"), now)
        return
    message = f"{len(skipped)} nodes were left out when their time ran out: {', '.join(skipped)}"
    _end_blocked(state, message, state.blocked(now), now)


_PHASES: dict[str, Callable[[State, float], None]] = {
    "guard": pausing.ask_guard,
    "taint": _in_taint,
    "cordon": _in_cordon,
    "batch": _in_batch,
    "gate": _in_gate,
    "soak": _in_soak,
    "check": _in_check,
}


def _enter(state: State, phase: Phase, now: float, then: Phase | None = None) -> None:
    state.phase = phase
    state.phases.append((phase, now))
    if phase in ("taint", "cordon"):
        state.at(now + state.settings.node_timeout)
    if phase == "gate":
        state.gate_since, state.judgement.looks = now, 0
        state.at(now + state.settings.node_timeout)
    if phase == "guard":
        state.guard_for = then or "batch"
        state.workloads.touched_in_batch = False
        state.guard_at = now


def _end_blocked(state: State, message: str, diagnoses: list[Diagnosis], now: float) -> None:
    _finish(state, Finish("blocked", message, tuple(diagnoses)), now)


def _finish(state: State, finish: Finish, now: float) -> None:
    state.finish = finish
    state.phases.append(("end", now))
    state.phase = "end"
    state.actions.append(finish)
