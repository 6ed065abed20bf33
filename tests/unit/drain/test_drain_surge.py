"""Single replicas that their Deployment replaces before they go: who is asked, when, how often, and who never is."""

import random

import pytest
from drain_case import WALL, Case, changed, controller, make_pod, old_node
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_nodepools.drain import surge
from pulumi_nodepools.drain.events import Answered, Evict, Gone, Relisted, Seen, Surge
from pulumi_nodepools.drain.model import (
    BudgetView,
    ClaimView,
    ControllerView,
    DeploymentView,
    NodeView,
    Toleration,
    WorldView,
)
from pulumi_nodepools.drain.report import make_report
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.world import World

SURGE = DrainSettings(single_replicas="surge")


def deployment(**fields):
    base = {"namespace": "ns", "name": "web", "uid": "d", "adds_first": True, "resource_version": "1"}
    return DeploymentView(**base | fields)


def replica_set(name="rs", desired=1):
    return ControllerView(
        kind="ReplicaSet", namespace="ns", name=name, uid=name, desired=desired, made_by="Deployment web", maker="d"
    )


def budget():
    return BudgetView(
        namespace="ns",
        name="b",
        uid="b",
        match_labels={"app": "rs"},
        min_available="1",
        needed=1,
        healthy=1,
        expected=1,
    )


def surging(*more, **settings):
    """A drain whose only pod is the only one of its Deployment."""
    views = [old_node(), NodeView(name="new"), replica_set(), deployment(), make_pod("p"), *more]
    return Case(*views, **{"single_replicas": "surge"} | settings)


def asked(case):
    return [(action.deployment.resource_version, action.uid) for action in case.actions if isinstance(action, Surge)]


def outcome(case):
    (pod,) = make_report(case.state, case.now, events=[], api_calls={}).pods
    return pod.outcome


@pytest.mark.parametrize("more", [[], [budget()]], ids=["no budget", "a budget that allows nothing"])
def test_a_single_replica_is_asked_for_once_and_waited_for_until_it_is_gone(more):
    case = surging(*more, node_timeout=600)
    case.begin()
    assert asked(case) == [("1", "u-p")]
    case.answer("p", 200)
    case.tell(Seen(deployment(moving="u-p", settled=False, resource_version="2")))
    case.tell(Seen(make_pod("q", "new", owner="rs2", ready=False)))
    case.at(99.0)
    assert case.sent == []
    assert case.state.finish is None, "the next pod is not ready: this one stays"
    case.tell(Seen(make_pod("q", "new", owner="rs2")))
    case.tell(Seen(changed(make_pod("p"), deleted_at=WALL + 30)))
    case.tell(Gone("pods", "u-p"))
    case.at(99.5)
    assert case.state.finish.outcome == "drained"
    assert not [action for action in case.said if isinstance(action, Evict)]
    assert sum(isinstance(action, Surge) for action in case.said) == 1
    assert outcome(case) == "surged"
    assert case.state.workloads.single() == [], "nothing was interrupted, so nothing is predicted"


def test_without_the_setting_it_is_evicted_as_ever():
    case = surging(single_replicas="evict")
    case.begin()
    assert (asked(case), case.sent) == ([], ["p"])


def test_a_run_that_died_after_it_had_asked_is_gone_on_with_and_does_not_ask_again():
    case = surging()
    case.tell(Seen(deployment(moving="u-p", settled=False)))
    case.begin()
    case.tell(Seen(deployment(moving="u-p", settled=True)))
    case.at(30.0)
    assert (asked(case), case.sent) == ([], [])
    case.tell(Gone("pods", "u-p"))
    case.at(31.0)
    assert case.state.finish.outcome == "drained"


def test_an_answer_that_was_lost_is_asked_for_again_only_if_nothing_came_of_it():
    case = surging()
    case.begin()
    case.answer("p", 0)
    case.tell(Seen(deployment(moving="u-p", settled=False)))
    case.at(20.0)
    assert asked(case) == []
    other = surging()
    other.begin()
    other.answer("p", 0)
    other.at(20.0)
    assert asked(other) == [("1", "u-p")]


def test_a_deployment_that_somebody_changed_meanwhile_is_asked_as_it_is_now():
    case = surging()
    case.begin()
    case.answer("p", 409)
    case.tell(Seen(deployment(resource_version="7")))
    case.at(5.0)
    assert asked(case) == [("7", "u-p")]


def test_another_rollout_comes_first_and_is_named():
    case = surging()
    case.tell(Seen(deployment(settled=False)))
    case.begin()
    assert (asked(case), case.sent) == ([], [])
    case.at(10.0)
    (told,) = case.state.blocked(10.0)
    assert told.reason == "replacement-not-ready"
    assert "after the rollout that is under way" in told.message
    case.tell(Seen(deployment(resource_version="3")))
    assert asked(case) == [("3", "u-p")]


def test_a_next_pod_that_finds_no_node_is_named_and_the_old_one_stays():
    case = surging(replica_set("rs2"))
    case.begin()
    case.answer("p", 200)
    case.tell(Seen(deployment(moving="u-p", settled=False)))
    trouble = "0/2 nodes are available: 1 Insufficient cpu"
    case.tell(Seen(make_pod("q", "", owner="rs2", ready=False, phase="Pending", trouble=trouble)))
    case.at(60.0)
    finish = case.state.finish
    assert finish.outcome == "blocked"
    (told,) = finish.diagnoses
    assert (told.reason, told.object, told.chain[-1]) == ("replacement-unschedulable", "pod ns/p", trouble)
    assert outcome(case) == "left"
    assert not [action for action in case.said if isinstance(action, Evict)]


@pytest.mark.parametrize(
    ("now", "then"),
    [
        (deployment(replicas=2), "scaled up: one of two is evicted"),
        (deployment(paused=True), "paused"),
        (deployment(adds_first=False), "another strategy"),
    ],
)
def test_a_deployment_that_cannot_be_asked_any_more_has_its_pod_evicted(now, then):
    case = surging()
    case.tell(Seen(deployment(settled=False)))
    case.begin()
    case.tell(Seen(now))
    assert case.sent == ["p"], then


def test_a_rollout_that_somebody_undoes_is_asked_for_three_times_and_then_the_pod_is_evicted():
    case = surging()
    case.begin()
    for number in range(surge.LIMIT):
        assert asked(case) == [(str(2 * number + 1), "u-p")]
        case.answer("p", 200)
        case.tell(Seen(deployment(moving="u-p", settled=False)))
        case.tell(Seen(deployment(resource_version=str(2 * number + 3))))
    assert (asked(case), case.sent) == ([], ["p"])


def test_a_node_whose_time_is_up_is_emptied_by_force_also_of_what_is_being_replaced():
    case = surging(on_timeout="force")
    case.begin()
    case.answer("p", 200)
    case.tell(Seen(deployment(moving="u-p", settled=False)))
    case.at(60.0)
    (deletion,) = [action for action in case.actions if isinstance(action, Evict)]
    assert (deletion.uid, deletion.grace) == ("u-p", 30)


@pytest.mark.parametrize("seen", [[Seen(deployment(moving="u-p", settled=False))], []])
def test_a_deployment_that_goes_leaves_its_pod_to_be_evicted(seen):
    case = surging()
    case.begin()
    case.answer("p", 200)
    for event in seen:
        case.tell(event)
    case.tell(Relisted("deployments", frozenset()))
    assert case.sent == ["p"]


def test_a_deployment_that_had_gone_when_it_was_asked_leaves_its_pod_to_be_evicted():
    case = surging()
    case.begin()
    case.tell(Gone("deployments", "d"))
    case.answer("p", 404)
    case.at(2.0)
    assert case.sent == ["p"]


@pytest.mark.parametrize(
    ("views", "pod", "why"),
    [
        ([replica_set(), deployment()], make_pod("p"), ""),
        ([controller(kind="StatefulSet")], make_pod("p", kind="StatefulSet"), "a StatefulSet starts no pod before"),
        ([controller()], make_pod("p"), "a ReplicaSet starts no pod before"),
        ([], changed(make_pod("p"), owner=None), "a bare pod starts no pod"),
        ([replica_set(), deployment(paused=True)], make_pod("p"), "paused"),
        ([replica_set(), deployment(adds_first=False)], make_pod("p"), "strategy takes the old pod away first"),
        (
            [replica_set(), deployment()],
            make_pod("p", tolerations=(Toleration(operator="Exists"),)),
            "it tolerates the cordon",
        ),
        ([replica_set(), deployment()], make_pod("p", claims=("data",)), "its claim data cannot be used on two nodes"),
        (
            [replica_set(), deployment(), ClaimView(namespace="ns", name="data", uid="c")],
            make_pod("p", claims=("data",)),
            "its claim data cannot be used on two nodes",
        ),
        (
            [replica_set(), deployment(), ClaimView(namespace="ns", name="data", uid="c", one_node=False)],
            make_pod("p", claims=("data",)),
            "",
        ),
    ],
)
def test_what_cannot_be_replaced_first_is_told_by_its_reason(views, pod, why):
    def of(kind):
        return [view for view in views if isinstance(view, kind)]

    view = WorldView([], [pod], (), of(ControllerView), of(ClaimView), (), of(DeploymentView))
    world = World.of(view)
    told = surge.hindrance(world, pod)
    assert why in told
    assert (told == "") is (why == "")
    assert (surge.by_rollout(world, SURGE, pod) is not None) is (why == "")


@pytest.mark.parametrize(
    "views",
    [
        [replica_set(desired=2), deployment(replicas=2), make_pod("p")],
        [replica_set(), deployment(replicas=2), make_pod("p")],  # in the middle of growing
        [replica_set(), deployment(), make_pod("p", ready=False)],  # it serves nobody: nothing can be absent
    ],
)
def test_what_is_no_ready_single_replica_is_not_surged(views):
    world = World.of(WorldView([], [views[2]], (), [views[0]], (), (), [views[1]]))
    assert surge.by_rollout(world, SURGE, views[2]) is None


class Deployed:
    """A Deployment controller that keeps its word, a server that forgets answers, people who meddle: in any order."""

    def __init__(self, rng):
        self.rng = rng
        self.serial, self.version, self.moving = 1, 1, ""
        self.pods = {"u-p": make_pod("p")}
        self.fresh = "u-p"
        self.made = deployment()
        self.begin()

    def begin(self):
        """A drain from nothing, as after a kill."""
        views = [old_node(), NodeView(name="new"), self.made, *self.sets(), *self.pods.values()]
        self.case = Case(*views, single_replicas="surge", node_timeout=10_000, total_timeout=100_000)
        self.queue = [action for action in self.case.begin() if isinstance(action, Surge | Evict)]
        self.answers = []

    def sets(self):
        return [replica_set(pod.owner.uid) for pod in self.pods.values()]

    def tell(self, event):
        actions = self.case.tell(event)
        self.queue += [action for action in actions if isinstance(action, Surge | Evict)]

    def changed(self, **fields):
        self.version += 1
        self.made = changed(self.made, resource_version=str(self.version), **fields)
        self.tell(Seen(self.made))

    def serve(self):
        action = self.queue.pop(0)
        assert isinstance(action, Surge), "a single replica that can be surged is never evicted"
        code = 409
        if action.deployment.resource_version == self.made.resource_version:
            code = self.rng.choice([200, 200, 0])
            if action.uid != self.made.moving:
                self.serial += 1
                new = make_pod(f"p{self.serial}", "new", owner=f"rs{self.serial}", ready=False)
                self.pods[new.uid], self.fresh = new, new.uid
                self.answers.append(Answered(action.uid, code))
                self.tell(Seen(replica_set(new.owner.uid)))
                self.tell(Seen(new))
                self.changed(moving=action.uid, settled=False)
                return
        self.answers.append(Answered(action.uid, code))

    def become_ready(self):
        self.pods[self.fresh] = changed(self.pods[self.fresh], ready=True)
        self.tell(Seen(self.pods[self.fresh]))

    def finish_rollout(self):
        for uid in [uid for uid in self.pods if uid != self.fresh]:
            del self.pods[uid]
            self.tell(Gone("pods", uid))
        self.changed(settled=True)

    def turn(self):
        choices = []
        choices += [self.serve] * bool(self.queue)
        choices += [lambda: self.tell(self.answers.pop(0))] * bool(self.answers)
        choices += [self.become_ready] * (not self.pods[self.fresh].ready)
        choices += [self.finish_rollout] * (self.pods[self.fresh].ready and len(self.pods) > 1)
        choices += [self.begin] * (self.rng.random() < 0.1)
        choices += [self.changed] * (self.rng.random() < 0.1)
        if choices:
            self.rng.choice(choices)()
        else:
            self.case.now = max(self.case.now + 0.01, self.case.state.wake() or 0)
            self.case.at(self.case.now)
            self.queue += [action for action in self.case.actions if isinstance(action, Surge | Evict)]
        assert any(pod.ready for pod in self.pods.values()), "never below one ready pod"


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_kills_lost_answers_and_meddling_never_cost_the_last_ready_pod_nor_a_second_rollout(seed):
    told = Deployed(random.Random(seed))
    for _ in range(600):
        if told.case.state.finish:
            break
        told.turn()
    assert told.case.state.finish is not None, "the drain never ended"
    assert told.case.state.finish.outcome == "drained"
    assert told.serial == 2, "one rollout moves it, whatever happened in between"
