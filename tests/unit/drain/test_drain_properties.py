"""What holds for every drain, also when its obstacles never clear: played against the simulated cluster."""

import random

import pytest
from drain_case import assert_counted
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_cluster import OWNER, App, Sim

from pulumi_nodepools.drain.machine import step
from pulumi_nodepools.drain.report import make_report
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.state import State

NODE, TOTAL = 120.0, 1000.0
APPS = st.builds(
    App,
    name=st.just("a"),
    kind=st.sampled_from(["ReplicaSet", "ReplicaSet", "Job", "DaemonSet"]),
    replicas=st.integers(1, 5),
    budget=st.sampled_from([None, None, 0, 1]),
    priority=st.sampled_from([0, 0, 2_000_000_000]),
    trouble=st.sampled_from(["", "", "denied", "held"]),
)


def named(apps):
    for index, app in enumerate(apps):
        app.name = f"app{index}"
        app.budget = app.budget if app.kind == "ReplicaSet" else None
    return apps


def play(sim, turns=40_000):
    for _ in range(turns):
        if sim.finish:
            return sim.finish
        sim.turn()
        assert_counted(sim.state.nodes)
    raise AssertionError("the drain never ended")


@st.composite
def drains(draw):
    """A drain full of obstacles, over."""
    limits = DrainSettings(
        batch_size=draw(st.sampled_from(["1", "50%", "100%"])),
        node_timeout=NODE,
        total_timeout=TOTAL,
        on_timeout=draw(st.sampled_from(["fail", "skip", "force"])),
        jobs=draw(st.sampled_from(["evict", "wait"])),
    )
    apps = draw(st.lists(APPS, min_size=1, max_size=4).map(named))
    sim = Sim(apps, draw(st.integers(1, 4)), random.Random(draw(st.integers(0, 2**32))), limits)
    sim.before = {uid: pod.app for uid, pod in sim.pods.items() if pod.view.node.startswith("old")}
    sim.began = sim.now
    play(sim)
    return sim


@settings(max_examples=200, deadline=None)
@given(sim=drains())
def test_every_pod_ends_evicted_ignored_or_reported(sim):
    report = make_report(sim.state, sim.now, events=[], api_calls={})
    told = {pod.uid: pod.outcome for pod in report.pods}
    ignored = {uid for track in sim.state.nodes.tracks.values() for uid in track.ignored}
    for uid, app in sim.before.items():
        if app.kind == "DaemonSet":
            assert uid in ignored
        elif uid in sim.pods:
            assert told[uid] in ("left", "forced", "evicted") if app.trouble == "held" else told[uid] == "left"
            assert sim.finish.outcome == "blocked"
        else:
            assert told[uid] in ("evicted", "gone", "forced")
    assert max(sim.accepted.values(), default=1) == 1, "no pod is evicted twice"


@settings(max_examples=200, deadline=None)
@given(sim=drains())
def test_deadlines_are_kept_and_what_is_blocked_is_explained(sim):
    assert sim.now <= sim.began + TOTAL + 1
    if sim.finish.outcome != "blocked":
        return
    assert sim.finish.diagnoses, "exit code 2 always has a reason"
    late = [track for track in sim.state.nodes.active.values() if track.started is not None]
    if sim.settings.on_timeout == "fail" and "per node ran out" in sim.finish.message:
        assert NODE <= sim.now - min(track.started for track in late) <= NODE + 1
    left = {uid for track in late for uid in track.left}
    named = {entry.object for entry in sim.finish.diagnoses}
    assert {f"pod ns/{sim.state.world.pods[uid].name}" for uid in left} <= named


@settings(max_examples=100, deadline=None)
@given(sim=drains())
def test_force_comes_only_after_the_deadline_and_only_when_asked_for(sim):
    if sim.settings.on_timeout != "force":
        assert not sim.forced
    first = next((now for actions, (_, now) in zip(sim.said, sim.heard, strict=True) if forces(actions)), None)
    if sim.settings.on_timeout == "force" and not any(app.trouble == "held" for app in sim.apps):
        assert sim.finish.outcome == "drained", "neither budgets nor webhooks nor jobs outlast it"
    if first is not None:
        assert (
            first - min(track.started for track in sim.state.nodes.tracks.values() if track.started is not None) >= NODE
        )


def forces(actions):
    return any(getattr(action, "grace", None) for action in actions)


@settings(max_examples=60, deadline=None)
@given(sim=drains())
def test_the_same_events_at_the_same_times_lead_to_the_same_actions(sim):
    again = State(sim.settings, OWNER, lambda n: n.labels.get("pool") == "old", now=sim.began, wall=1_000_000.0)
    for (event, now), said in zip(sim.heard, sim.said, strict=True):
        assert step(again, event, now) == said
    assert again.finish == sim.finish


@pytest.mark.parametrize("on_timeout", ["fail", "skip", "force"])
def test_a_pod_that_never_ends_is_named_whatever_happens_at_the_deadline(on_timeout):
    limits = DrainSettings(batch_size="100%", node_timeout=NODE, total_timeout=TOTAL, on_timeout=on_timeout)
    apps = [App("a", "ReplicaSet", 2, None, trouble="held"), App("b", "ReplicaSet", 2, None)]
    sim = Sim(apps, 1, random.Random(1), limits)
    assert play(sim).outcome == "blocked"
    assert any("ns/a-" in entry.object for entry in sim.finish.diagnoses)
