"""Between two batches: workloads back, no new pods without a node, looks in a row, and what the user's command says."""

import random

import pytest
from drain_case import Case, changed, controller, make_pod, old_node
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_cluster import App, Sim

from pulumi_nodepools.drain.events import (
    AskCommand,
    AskGuard,
    CommandEnded,
    Evict,
    Finish,
    Gone,
    GuardPassed,
    Remember,
    Seen,
    Synced,
)
from pulumi_nodepools.drain.model import NodeView, Taint
from pulumi_nodepools.drain.report import make_report
from pulumi_nodepools.drain.settings import BatchGate, DrainSettings
from pulumi_nodepools.errors import ConfigError

CHECK = BatchGate(command=("./check",))
POOL = {"pool": "old"}


def pending(name, **fields):
    """A pod that the scheduler could not place, although it would run on the drain's nodes."""
    wanted = {"node": "", "phase": "Pending", "ready": False, "trouble": "0/3 nodes are available"}
    return make_pod(name, **{**wanted, "node_selector": POOL, **fields})


def two_nodes(*more, **settings):
    """`p` of workload rs on node a and `q` of workload x on node b, one node at a time; up to the first evictions."""
    case = Case(
        old_node("a"),
        old_node("b"),
        controller("rs"),
        controller("x"),
        make_pod("p", "a"),
        make_pod("q", "b", owner="x"),
        *more,
        **{"batch_size": "1", **settings},
    )
    case.begin()
    return case


def moved(case, name, to="elsewhere", owner="rs"):
    """The pod is evicted, its node is found empty, and its successor is ready."""
    case.answer(name, 201)
    case.tell(Gone("pods", f"u-{name}"))
    case.tell(Seen(make_pod(f"{name}2", to, owner=owner)))
    return case.at(case.now + 3)


def asks(case):
    return [action for action in case.said if isinstance(action, AskCommand)]


def at_next_guard(case):
    return any(isinstance(action, AskGuard) for action in case.actions)


def test_a_new_pod_without_a_node_holds_the_next_batch_and_names_it():
    case = two_nodes(controller("late", 2), make_pod("l1", "elsewhere", owner="late"))
    case.tell(Seen(pending("l2", owner="late")))
    moved(case, "p")
    assert case.state.phase == "gate"
    (why,) = case.state.blocked(case.now)
    assert (why.reason, why.object) == ("replacement-unschedulable", "ReplicaSet ns/late")
    case.tell(Gone("pods", "u-l2"))
    assert at_next_guard(case)


def test_it_ends_the_drain_when_the_time_is_up_with_the_other_node_untouched():
    case = two_nodes(controller("late", 2))
    case.tell(Seen(pending("l2", owner="late")))
    moved(case, "p")
    (finish,) = (action for action in case.at(case.now + 61) if isinstance(action, Finish))
    assert finish.outcome == "blocked"
    assert finish.message.startswith("batch 1 is bad")
    assert [one.object for one in finish.diagnoses] == ["ReplicaSet ns/late"]
    assert [track.phase for track in case.state.nodes.tracks.values()] == ["done", "waiting"]


TAINTED = Taint("node.kubernetes.io/unschedulable", "NoSchedule")


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        (pending("z", owner="late", node_selector={"pool": "gpu"}), "it could never run on these nodes"),
        (pending("z", owner="late", trouble=""), "the scheduler has not looked at it yet"),
        (pending("z", owner="late", deleted_at=1.0), "it is going"),
        (pending("z", owner="ci", kind="Job"), "Jobs are nobody's promise"),
        (pending("z", owner="gone"), "its controller is not there"),
        (pending("z", owner="asleep"), "its controller wants none"),
    ],
)
def test_pods_that_are_no_fault_of_the_batch_hold_nothing(pod, why):
    case = two_nodes(controller("late", 2), controller("asleep", 0))
    case.tell(Seen(pod))
    moved(case, "p")
    assert at_next_guard(case), why


def test_what_was_pending_before_neither_blocks_nor_hides():
    case = two_nodes(controller("broken", 3), pending("old1", owner="broken"))
    case.tell(Gone("pods", "u-old1"))
    case.tell(Seen(pending("old2", owner="broken")))
    moved(case, "p")
    assert at_next_guard(case), "made anew by its controller, it is the same one"
    case.tell(GuardPassed())
    case.tell(Seen(pending("new", owner="broken")))
    moved(case, "q", owner="x")
    assert case.state.phase == "gate", "one more is one more"


def test_the_cordon_of_the_drain_itself_does_not_make_a_pod_somebody_elses():
    case = two_nodes(controller("late", 2))
    node = case.state.world.nodes["b"]
    case.tell(Seen(changed(node, taints=(*node.taints, TAINTED))))
    case.tell(Seen(pending("l2", owner="late")))
    moved(case, "p")
    assert case.state.phase == "gate"


def test_so_many_good_looks_in_a_row_and_a_bad_moment_starts_anew():
    case = two_nodes(controller("late", 2), batch_gate=BatchGate(consecutive=3, interval=10))
    moved(case, "p")
    assert case.state.judgement.looks == 1
    case.at(case.now + 9)
    assert case.state.judgement.looks == 1, "too early"
    case.at(case.now + 1)
    assert case.state.judgement.looks == 2
    case.tell(Seen(pending("l2", owner="late")))
    case.tell(Gone("pods", "u-l2"))
    assert case.state.judgement.looks == 1, "it was bad between two looks"
    wake = case.state.wake()
    assert wake == case.now + 10
    case.at(wake)
    assert case.state.phase == "gate"
    case.at(wake + 10)
    assert at_next_guard(case)


def test_the_soak_is_followed_by_looks_and_a_workload_that_falls_back_soaks_anew():
    case = two_nodes(batch_soak=100)
    moved(case, "p")
    assert case.state.phase == "soak"
    case.tell(Seen(make_pod("p2", "elsewhere", ready=False)))
    case.at(case.now + 100)
    assert case.state.phase == "gate"
    case.tell(Seen(make_pod("p2", "elsewhere")))
    assert case.state.phase == "soak"
    case.at(case.now + 100)
    assert at_next_guard(case)


def begin_checked(**settings):
    case = Case(
        old_node("a"),
        old_node("b"),
        controller("rs"),
        controller("x"),
        make_pod("p", "a"),
        make_pod("q", "b", owner="x"),
        **{"batch_size": "1", "batch_gate": CHECK, **settings},
    )
    case.tell(Synced())
    return case


def test_the_command_judges_before_anything_is_touched_and_behind_each_batch():
    case = begin_checked()
    assert case.actions == [AskCommand(0, ())], "before the guard, which freezes the groups"
    case.tell(CommandEnded())
    assert at_next_guard(case)
    case.tell(GuardPassed())
    case.tell(GuardPassed())
    assert case.sent == ["p"]
    moved(case, "p")
    assert asks(case)[1:] == [AskCommand(1, ("a",))]
    case.at(case.now + 30)
    assert not case.sent, "nothing moves while it judges"
    case.tell(CommandEnded())
    assert at_next_guard(case)
    case.tell(GuardPassed())
    assert case.sent == ["q"]
    moved(case, "q", owner="x")
    assert asks(case)[2:] == [AskCommand(2, ("b",))], "the last batch too"
    case.tell(CommandEnded())
    assert case.state.finish.outcome == "drained"


def test_a_command_that_fails_beforehand_leaves_everything_untouched():
    case = Case(NodeView(name="fresh", labels=POOL), controller(), make_pod("p", "fresh"), batch_gate=CHECK)
    case.tell(Synced())
    case.at(5.0)
    (finish,) = case.tell(CommandEnded("./check ended with exit code 3 and said nothing"))
    assert finish.outcome == "blocked"
    assert "no node was touched" in finish.message
    (why,) = finish.diagnoses
    assert (why.reason, why.message) == ("batch-command", "./check ended with exit code 3 and said nothing")
    assert [type(action).__name__ for action in case.said] == ["AskCommand", "Finish"]


def test_a_command_that_fails_behind_a_batch_ends_the_drain_there():
    case = begin_checked(batch_soak=0)
    for event in (CommandEnded(), GuardPassed(), GuardPassed()):
        case.tell(event)
    moved(case, "p")
    (finish,) = case.tell(CommandEnded("./check ended with exit code 1 and said nothing"))
    assert finish.outcome == "blocked"
    assert "batch 1 (a) is bad" in finish.message
    assert "what was not moved runs on" in finish.message
    assert case.state.nodes.tracks["b"].phase == "waiting"
    assert "u-q" in case.state.world.pods


def test_a_pod_that_comes_back_while_the_command_runs_is_moved_first_and_the_command_runs_once():
    case = begin_checked()
    for event in (CommandEnded(), GuardPassed(), GuardPassed()):
        case.tell(event)
    moved(case, "p")
    case.tell(Seen(make_pod("again", "a")))
    assert (case.state.phase, case.sent) == ("batch", ["again"])
    case.tell(CommandEnded())
    moved(case, "again")
    assert case.state.phase == "guard"
    assert len(asks(case)) == 2


def test_without_anything_to_move_nobody_is_asked():
    case = Case(old_node("a"), make_pod("agent", "a", owner="ds", kind="DaemonSet"), batch_gate=CHECK)
    case.tell(Seen(controller("ds", 1, "DaemonSet")))
    case.begin()
    case.at(3.0)
    assert case.state.finish.outcome == "drained"
    assert asks(case) == []


@settings(max_examples=60, deadline=None)
@given(
    nodes=st.integers(2, 5),
    size=st.sampled_from(["1", "2", "40%", "100%"]),
    looks=st.integers(1, 3),
    bad=st.integers(0, 5),
    seed=st.integers(0, 2**32),
)
def test_after_a_failing_command_no_further_eviction_is_asked_for(nodes, size, looks, bad, seed):
    """Against the simulated cluster: the command passes `bad` times and then fails."""
    gate = BatchGate(consecutive=looks, interval=1, command=("./check",))
    limits = DrainSettings(batch_size=size, node_timeout=3000, total_timeout=9000, batch_gate=gate)
    judged, evictions = [], []

    class Judged(Sim):
        def _carry_out(self, action):
            if isinstance(action, AskCommand):
                judged.append(action.batch)
                evictions.append(sum(self.accepted.values()))
                self.answers.append(CommandEnded("" if len(judged) <= bad else "no"))
            super()._carry_out(action)

    sim = Judged([App("a", "ReplicaSet", 6, None), App("b", "ReplicaSet", 3, 1)], nodes, random.Random(seed), limits)
    for _ in range(20_000):
        if sim.finish:
            break
        sim.turn()
    assert judged == list(range(len(judged))), "each batch once, in order, from what was there before"
    if sim.finish.outcome == "drained":
        assert len(judged) <= bad
        assert sim.state.batch == judged[-1]
    else:
        assert len(judged) == bad + 1
        assert sum(sim.accepted.values()) == evictions[-1], "nothing was evicted after it was asked"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"consecutive": 0}, r"consecutive: 0 is not a whole number from 1 to 100"),
        ({"consecutive": 2.5}, r"consecutive: 2\.5"),
        ({"interval": -1}, r"batchGate\.interval: -1 is not a number of seconds"),
        ({"command_timeout": 0}, r"batchGate\.commandTimeout: 0"),
        ({"command": "./check.sh --fast"}, r"command: it is not a list of texts"),
        ({"command": ("./check.sh", 3)}, r"command: it is not a list of texts"),
        ({"command": (" ",)}, r"command: its first word is empty"),
    ],
)
def test_what_cannot_be_done_is_refused_where_it_is_made(wrong, why):
    with pytest.raises(ConfigError, match=why):
        BatchGate(**wrong)


def test_the_settings_come_back_from_the_state_and_those_of_earlier_releases_do_not_change():
    gate = BatchGate(consecutive=3, interval=2.0, command=("./check", "a b"), command_timeout=9.0)
    kept = DrainSettings(batch_gate=gate).to_props()
    assert kept["batchGate"]["command"] == ["./check", "a b"]
    assert DrainSettings.from_props(kept).batch_gate == gate
    assert "batchGate" not in DrainSettings().to_props()


def test_nodes_that_joined_late_count_as_homes_no_less():
    case = two_nodes(controller("late", 2))
    case.tell(Seen(NodeView(name="c", labels=POOL)))
    case.tell(Seen(pending("l2", owner="late")))
    moved(case, "p")
    assert case.state.phase != "guard"


def after_a_bad_batch(*more, **settings):
    """`q` is still on b; of workload rs, whose two pods an earlier run found ready, one is back."""
    back = make_pod("p1", "elsewhere")
    views = (old_node("b"), controller("rs", 2), controller("x"), back, make_pod("q", "b", owner="x"), *more)
    return Case(*views, behind={"rs": 2}, **settings)


def test_a_stopped_drain_tells_whom_it_leaves_behind_and_nobody_else():
    case = two_nodes()
    case.answer("p", 201)
    case.tell(Gone("pods", "u-p"))
    case.at(case.now + 3)
    case.at(case.now + 61)
    assert case.state.finish.outcome == "blocked"
    assert make_report(case.state, case.now, events=[], api_calls={}).behind == {"rs": 1}


def test_whom_a_batch_may_leave_behind_is_told_before_its_first_eviction():
    case = two_nodes(make_pod("p2", "elsewhere"))
    remember, evict = (action for action in case.actions if isinstance(action, Remember | Evict))
    assert remember == Remember({"rs": 2}), "the workload of the other node is not at stake yet"
    assert evict.name == "p"
    moved(case, "p")
    case.tell(GuardPassed())
    assert Remember({"x": 1}) in case.actions


def test_what_an_earlier_run_has_broken_is_waited_for_before_anything_is_touched():
    case = after_a_bad_batch()
    case.tell(Synced())
    assert (case.state.phase, at_next_guard(case)) == ("gate", False)
    (why,) = case.state.blocked(case.now)
    assert why.object == "ReplicaSet ns/rs"
    case.tell(Seen(make_pod("p2", "elsewhere")))
    assert at_next_guard(case)
    assert case.state.guard_for == "taint"


def test_it_ends_the_drain_if_it_does_not_come_back():
    case = after_a_bad_batch()
    case.tell(Synced())
    (finish,) = (action for action in case.at(61) if isinstance(action, Finish))
    assert finish.message == "workloads that an earlier run has moved are not back after 60 s; no node was touched now"
    assert make_report(case.state, case.now, events=[], api_calls={}).behind == {"rs": 2}, "and for the run after that"


@pytest.mark.parametrize("repaired", [controller("rs", 1), controller("rs", 0)])
def test_a_workload_that_was_made_smaller_is_back_with_fewer(repaired):
    case = after_a_bad_batch()
    case.tell(Seen(repaired))
    case.tell(Synced())
    assert at_next_guard(case)


def test_a_workload_that_is_gone_holds_nothing():
    case = Case(old_node("b"), controller("x"), make_pod("q", "b", owner="x"), behind={"rs": 2})
    case.tell(Synced())
    assert at_next_guard(case)


def test_the_users_command_judges_after_what_was_broken_is_back():
    case = after_a_bad_batch(batch_gate=CHECK)
    case.tell(Synced())
    assert asks(case) == []
    case.tell(Seen(make_pod("p2", "elsewhere")))
    assert [ask.batch for ask in asks(case)] == [0]
    case.tell(CommandEnded())
    assert case.state.guard_for == "taint"
    assert at_next_guard(case)
