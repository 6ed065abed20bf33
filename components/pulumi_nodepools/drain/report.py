"""The report of a drain, in the shape of report.json (docs/architecture.md). Pure: made from a finished state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi_nodepools.drain.events import Finish
from pulumi_nodepools.drain.lanes import Track
from pulumi_nodepools.drain.model import Diagnosis, DrainEvent, Point
from pulumi_nodepools.drain.nodes import NodeTrack
from pulumi_nodepools.drain.state import State

SCHEMA_VERSION = 1
_NAMED = 20
"""Blocked pods spelled out in an error; the report has them all."""


@dataclass(frozen=True)
class NodeReport:
    """One node: times are seconds since the drain began, None where it did not get that far."""

    name: str
    phase: str
    cordon: tuple[float | None, float | None]
    evict: tuple[float | None, float | None]
    lb: tuple[float | None, float | None]
    """From the first look at its load balancers until none of them sent it anything new."""
    detach: tuple[float | None, float | None]
    """From the moment that it was empty until its volumes were off it; None if none had to be waited for."""
    pods_left: int

    def to_json(self) -> dict[str, Any]:
        """The entry of report.json."""
        return {
            "phase": self.phase,
            "cordon": {"start": self.cordon[0], "end": self.cordon[1]},
            "evict": {"start": self.evict[0], "end": self.evict[1]},
            "lb": {"start": self.lb[0], "end": self.lb[1]},
            "detach": {"start": self.detach[0], "end": self.detach[1]},
            "podsLeft": self.pods_left,
        }


@dataclass(frozen=True)
class PodReport:
    """One pod that was to leave."""

    namespace: str
    name: str
    uid: str
    node: str
    attempts: int
    codes: Mapping[str, int]
    blocked_seconds: float
    budget: str
    began: float | None
    """Seconds since the drain began when its turn came, None if it never did."""
    ended: float | None
    """The same when its eviction was accepted, None if it never was."""
    outcome: str
    """evicted, surged (its Deployment had another one ready first), forced (deleted after its node's time was up), gone
    (it ended by itself), or left."""

    def to_json(self) -> dict[str, Any]:
        """The entry of report.json."""
        return {
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
            "node": self.node,
            "attempts": self.attempts,
            "codes": dict(self.codes),
            "blockedSeconds": self.blocked_seconds,
            "budget": self.budget,
            "evict": {"start": self.began, "end": self.ended},
            "outcome": self.outcome,
        }


@dataclass(frozen=True)
class DrainReport:
    """What a drain did, and why it ended as it did."""

    owner: str
    outcome: str
    """drained, blocked, denied, or failed (the guard or the connection ended it)."""
    message: str
    started_at: float
    seconds: float
    phases: list[tuple[str, float, float]]
    nodes: list[NodeReport]
    pods: list[PodReport]
    skipped: list[tuple[str, str, str]]
    predicted: list[str]
    floor: int | None
    capacity: list[Point]
    diagnosis: list[Diagnosis]
    events: list[tuple[float, DrainEvent]]
    api_calls: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    behind: Mapping[str, int] = field(default_factory=dict)
    """Controllers (UID) that are left with fewer ready pods than they had: for the next run, not in the document."""

    def to_json(self) -> dict[str, Any]:
        """The document."""
        return {
            "schemaVersion": SCHEMA_VERSION,
            "kind": "drain",
            "run": {
                "owner": self.owner,
                "outcome": self.outcome,
                "message": self.message,
                "startedAt": self.started_at,
                "seconds": self.seconds,
            },
            "phases": [{"name": name, "start": start, "end": end} for name, start, end in self.phases],
            "nodes": {node.name: node.to_json() for node in self.nodes},
            "pods": [pod.to_json() for pod in self.pods],
            "skipped": [{"pod": pod, "node": node, "reason": why} for pod, node, why in self.skipped],
            "forced": [
                {"pod": f"{pod.namespace}/{pod.name}", "uid": pod.uid, "node": pod.node}
                for pod in self.pods
                if pod.outcome == "forced"
            ],
            "predictedInterruptions": list(self.predicted),
            "capacity": {
                "floor": self.floor,
                "points": [{"at": point.at, "blue": point.blue, "green": point.green} for point in self.capacity],
            },
            "diagnosis": [entry.to_json() for entry in self.diagnosis],
            "events": [
                {"at": at, "kind": event.kind, "node": event.node, "message": event.message}
                for at, event in self.events
            ],
            "apiCalls": {verb: dict(codes) for verb, codes in self.api_calls.items()},
        }


def make_report(
    state: State,
    now: float,
    *,
    failure: str = "",
    events: list[tuple[float, DrainEvent]],
    api_calls: Mapping[str, Mapping[str, int]],
) -> DrainReport:
    """Sum up a state; `failure` says why a drain ended that did not finish by itself."""
    finish = state.finish
    return DrainReport(
        owner=state.nodes.owner,
        outcome=finish.outcome if finish else "failed",
        message=finish.message if finish else failure,
        started_at=state.started + state.wall_offset,
        seconds=_round(now - state.started),
        phases=_phases(state, now),
        nodes=[_node(state, track) for _, track in sorted(state.nodes.tracks.items())],
        pods=[_pod(state, track, now) for track in state.evictions.tracks.values()] + _untouched(state),
        skipped=_skipped(state),
        predicted=state.workloads.single(),
        floor=state.capacity.floor,
        capacity=[Point(_round(point.at - state.started), point.blue, point.green) for point in state.capacity.points],
        diagnosis=list(finish.diagnoses) if finish else [],
        events=[(_round(at - state.started), event) for at, event in events],
        api_calls=api_calls,
        behind=state.workloads.behind(),
    )


def _round(seconds: float) -> float:
    return round(seconds, 3)


def _phases(state: State, now: float) -> list[tuple[str, float, float]]:
    ends = [start for _, start in state.phases[1:]] + [now]
    return [
        (name, _round(start - state.started), _round(end - state.started))
        for (name, start), end in zip(state.phases, ends, strict=True)
        if name != "end"
    ]


def _since(state: State, when: float | None) -> float | None:
    return None if when is None else _round(when - state.started)


def _node(state: State, track: NodeTrack) -> NodeReport:
    empty = track.emptied
    return NodeReport(
        name=track.name,
        phase=track.phase,
        cordon=(_since(state, track.cordon_asked), _since(state, track.cordoned)),
        evict=(_since(state, track.started), _since(state, track.ended if empty is None else empty)),
        lb=(_since(state, track.leaving), _since(state, track.left_balancers)),
        detach=(_since(state, empty), _since(state, track.ended) if empty is not None else None),
        pods_left=len(track.left),
    )


def _pod(state: State, track: Track, now: float) -> PodReport:
    until = track.accepted_at if track.accepted_at is not None else now
    budgets = (state.world.budgets.get(uid) for uid in track.budgets)
    return PodReport(
        namespace=track.namespace,
        name=track.name,
        uid=track.uid,
        node=track.node,
        attempts=track.attempts,
        codes=track.codes,
        blocked_seconds=_round(until - track.since),
        budget=", ".join(budget.path for budget in budgets if budget),
        began=_since(state, track.since),
        ended=_since(state, track.accepted_at),
        outcome="forced" if track.deleted and track.accepted_at is not None else track.outcome or "left",
    )


def _untouched(state: State) -> list[PodReport]:
    """Pods whose turn never came."""
    tracks = state.evictions.tracks
    uids = (uid for track in state.nodes.tracks.values() for uid in track.left if uid not in tracks)
    pods = (state.world.pods[uid] for uid in uids if uid in state.world.pods)
    return [PodReport(p.namespace, p.name, p.uid, p.node, 0, {}, 0.0, "", None, None, "left") for p in pods]


def _skipped(state: State) -> list[tuple[str, str, str]]:
    found = []
    for track in state.nodes.tracks.values():
        for uid, reason in track.ignored.items():
            pod = state.world.pods.get(uid)
            found.append((pod.path if pod else uid, track.name, reason))
    return found


def explained(finish: Finish, report: DrainReport) -> str:
    """Why a drain ended before its end, in lines for people."""
    left = sum(node.pods_left for node in report.nodes)
    done = sum(node.phase in ("done", "gone") for node in report.nodes)
    where = f"{done} of {len(report.nodes)} nodes drained, {left} pods left; it can be resumed"
    lines = [f"drain of {report.owner} stopped: {finish.message} ({where})"]
    lines += [f"  - {entry}" for entry in _distinct(finish.diagnoses)[:_NAMED]]
    if len(finish.diagnoses) > _NAMED:
        lines.append(f"  … and {len(finish.diagnoses) - _NAMED} more, in the report")
    return "\n".join(lines)


def _distinct(diagnoses: tuple[Diagnosis, ...]) -> list[Diagnosis]:
    """The pods that merely wait come last: what holds them is above them."""
    return sorted(diagnoses, key=lambda entry: entry.reason == "waiting")
