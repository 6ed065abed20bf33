"""The machine against a simulated cluster in which everything may be late or fail, and its deadlines one by one."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_cluster import App, Sim

from pulumi_nodepools.drain.events import Answered, Finish, Gone, Seen, Stop, Synced, Tick
from pulumi_nodepools.drain.machine import step
from pulumi_nodepools.drain.model import NodeView
from pulumi_nodepools.drain.report import make_report
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.state import State
from tests.conformance import replays

SETTINGS = DrainSettings(batch_size="50%", node_timeout=3000, total_timeout=9000)
APPS = st.builds(
    App,
    name=st.just("a"),
    kind=st.sampled_from(["ReplicaSet", "ReplicaSet", "Job", "DaemonSet"]),
    replicas=st.integers(1, 9),
    budget=st.one_of(st.none(), st.integers(1, 3)),
    priority=st.sampled_from([0, 0, 2_000_000_000, 2_000_001_000]),
)


def named(apps):
    for index, app in enumerate(apps):
        app.name = f"app{index}"
        # Nobody replaces the pods of a Job: a budget over them would rightly hold for ever.
        app.budget = None if app.budget is None or app.kind != "ReplicaSet" else min(app.budget, app.replicas)
    return apps


def play(sim, *, checks=(), turns=20_000):
    for _ in range(turns):
        if sim.finish:
            return sim.finish
        sim.turn()
        for check in checks:
            check(sim)
    raise AssertionError("the drain never ended")


def pacing_holds(sim):
    for app in sim.apps:
        if app.kind != "ReplicaSet":
            continue
        allowed = max(1, app.replicas // 4) if app.budget is None else app.budget
        assert sim.ready(app) >= app.replicas - allowed, f"{app} lost more than {allowed}"


@settings(max_examples=250, deadline=None)
@given(apps=st.lists(APPS, min_size=1, max_size=4).map(named), old=st.integers(1, 5), seed=st.integers(0, 2**32))
@replays("karpenter: 1000 concurrent adds", "one loop owns the state: any order of events ends the same")
def test_every_pod_leaves_once_and_no_bound_is_ever_broken(apps, old, seed):
    sim = Sim(apps, old, random.Random(seed), SETTINGS)
    before = {uid: pod.app.kind for uid, pod in sim.pods.items() if pod.view.node.startswith("old")}
    finish = play(sim, checks=[pacing_holds])
    assert finish.outcome == "drained", finish
    assert max(sim.accepted.values(), default=1) == 1, "no pod is evicted twice"
    assert sim.most_in_flight <= 32
    report = make_report(sim.state, sim.now, events=[], api_calls={})
    outcome = {pod.uid: pod.outcome for pod in report.pods}
    for uid, kind in before.items():
        if kind == "DaemonSet":
            assert uid in sim.pods
            assert uid not in outcome
        else:
            assert uid not in sim.pods
            assert outcome[uid] in ("evicted", "gone")
    assert sim.guards >= 2


@settings(max_examples=40, deadline=None)
@given(apps=st.lists(APPS, min_size=1, max_size=3).map(named), seed=st.integers(0, 2**32))
@replays("karpenter: entry is cleared when its pod vanishes", "whatever was missed is told by the next list")
def test_lost_watches_change_nothing(apps, seed):
    sim = Sim(apps, 3, random.Random(seed), SETTINGS)

    def sometimes(sim):
        if not sim.finish and sim.rng.random() < 0.05:
            sim.relist()

    assert play(sim, checks=[pacing_holds, sometimes]).outcome == "drained"
    assert max(sim.accepted.values(), default=1) == 1


def test_without_pacing_everything_goes_at_once():
    sim = Sim(
        [App("a", "ReplicaSet", 20, None)], 2, random.Random(1), DrainSettings(batch_size="100%", unbudgeted="all")
    )
    while not sim.requests:
        sim.turn()
    assert len(sim.requests) == 20


def stuck(**settings):
    """A drain in which one budget never allows anything."""
    limits = DrainSettings(**{"batch_size": "100%", "node_timeout": 60, "total_timeout": 600} | settings)
    return Sim([App("a", "ReplicaSet", 2, 0)], 1, random.Random(1), limits, faults=False)


def test_a_blocked_budget_ends_at_the_nodes_deadline_to_the_second():
    sim = stuck()
    finish = play(sim)
    assert finish.outcome == "blocked"
    assert "timeout of 60 s per node ran out on old-0" in finish.message
    started = sim.state.nodes.tracks["old-0"].started
    assert 60 <= sim.now - started <= 61
    assert {(entry.reason, entry.numbers["needed"]) for entry in finish.diagnoses} == {("pdb-impossible", 2)}
    assert sum(sim.accepted.values()) == 0


def test_a_blocked_budget_is_asked_seldom():
    sim = stuck()
    play(sim)
    attempts = sum(track.attempts for track in sim.state.evictions.tracks.values())
    assert attempts <= 6, "a minute of waiting is not a minute of asking"


def test_the_total_timeout_counts_from_the_start():
    sim = stuck(total_timeout=30)
    began = sim.now
    finish = play(sim)
    assert "total timeout of 30 s" in finish.message
    assert 30 <= sim.now - began <= 31


def test_stop_leaves_everything_as_it_is():
    sim = stuck()
    while not sim.state.nodes.active:
        sim.turn()
    sim.put(Stop())
    assert sim.finish.outcome == "blocked"
    assert "stopped" in sim.finish.message


def test_nothing_to_do_is_done_at_once_without_a_guard():
    state = State(SETTINGS, "p/v", lambda node: False, now=0.0, wall=0.0)
    step(state, Seen(NodeView(name="other")), 0.0)
    assert step(state, Synced(), 0.0) == [Finish("drained", "no nodes belong to this drain")]


def test_a_node_that_disappears_is_not_waited_for():
    sim = stuck()
    while not sim.state.nodes.active:
        sim.turn()
    sim.put(Gone("nodes", "old-0"))
    sim.put(Tick())
    assert sim.finish.outcome == "drained"


def test_a_second_run_continues_and_only_what_is_left_is_touched():
    sim = Sim([App("a", "ReplicaSet", 6, None)], 3, random.Random(3), DrainSettings(batch_size="1"))
    while sum(sim.accepted.values()) < 3:
        sim.turn()
    gone = set(sim.accepted)
    sim.crash()
    assert play(sim, checks=[pacing_holds]).outcome == "drained"
    assert {uid for uid, times in sim.accepted.items() if times > 1} == set()
    assert gone < set(sim.accepted)


def test_workloads_must_be_back_before_the_next_batch():
    sim = Sim([App("a", "ReplicaSet", 8, None)], 4, random.Random(5), DrainSettings(batch_size="1"), faults=False)
    batches = []

    def at_guard(sim):
        if sim.state.phase == "guard" and sim.state.batch > len(batches):
            batches.append(sim.ready(sim.apps[0]))

    play(sim, checks=[at_guard])
    assert len(batches) == 3
    assert set(batches) == {8}, "whenever the next batch is prepared, all eight serve again"


def test_the_soak_passes_between_batches():
    limits = DrainSettings(batch_size="50%", batch_soak=100, node_timeout=500)
    sim = Sim([App("a", "ReplicaSet", 4, None)], 2, random.Random(6), limits, faults=False)
    play(sim)
    phases = [name for name, _ in sim.state.phases]
    assert phases.count("soak") == 1
    times = dict(reversed(sim.state.phases))
    assert sim.now - times["soak"] >= 100


@pytest.mark.parametrize("fault", [401, 403])
def test_missing_rights_end_the_drain_at_once(fault):
    sim = Sim([App("a", "ReplicaSet", 2, None)], 1, random.Random(7), SETTINGS, faults=False)
    while not sim.requests:
        sim.turn()
    message = 'User "u" cannot create resource "pods/eviction"'
    sim.put(Answered(sim.requests[0].uid, fault, message=message))
    assert sim.finish.outcome == "denied"
    assert "pods/eviction" in sim.finish.message
