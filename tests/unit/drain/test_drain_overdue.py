"""What becomes of nodes whose time ran out, and which pods go last."""

from drain_case import WALL, Case, changed, controller, make_pod, old_node

from pulumi_nodepools.drain.events import Evict, Finish, Gone, GuardPassed, LabelNode, Patched, Say, Seen
from pulumi_nodepools.drain.model import BudgetView
from pulumi_nodepools.drain.report import make_report
from pulumi_nodepools.drain.settings import ForceRule
from pulumi_nodepools.names import QUARANTINE_LABEL
from tests.conformance import replays

NEVER = BudgetView(namespace="ns", name="tight", uid="b", match_labels={"app": "held"}, needed=1, healthy=1, expected=1)


def stuck(**settings):
    """Two nodes: one pod of `n` is held by a budget, the one of `m` may go."""
    case = Case(
        old_node(), old_node("m"), NEVER, make_pod("held", owner="held", grace=45), make_pod("free", "m"), **settings
    )
    case.begin()
    case.answer("free", 201)
    case.tell(Gone("pods", "u-free"))
    return case


def deletions(case):
    return [action for action in case.said if isinstance(action, Evict) and action.grace is not None]


def report(case):
    return make_report(case.state, case.now, events=[], api_calls={})


def test_skip_leaves_the_node_cordoned_and_labelled_and_goes_on_with_the_others():
    case = stuck(on_timeout="skip", batch_size="1")
    case.at(3.0)
    case.tell(GuardPassed())
    case.at(200.0)
    assert LabelNode("n", quarantined=True) in case.actions
    assert not any(isinstance(action, Finish) for action in case.said), "its label is not written yet"
    case.tell(Patched("n", "label", 200))
    finish = case.actions[-1]
    assert (finish.outcome, finish.message) == ("blocked", "1 nodes were left out when their time ran out: n")
    assert [entry.reason for entry in finish.diagnoses] == ["node-skipped", "pdb-impossible"]
    assert {node.name: (node.phase, node.pods_left) for node in report(case).nodes} == {
        "m": ("done", 0),
        "n": ("skipped", 1),
    }
    assert deletions(case) == []


def test_skip_does_not_stop_the_batches_that_follow():
    case = Case(
        old_node("a"),
        old_node("b"),
        NEVER,
        make_pod("held", "a", owner="held"),
        make_pod("p", "b"),
        on_timeout="skip",
        batch_size="1",
    )
    case.begin()
    assert case.sent == []
    case.at(60.0)
    case.tell(Patched("a", "label", 422, "no"))
    case.tell(Patched("a", "label", 422, "no"))
    case.tell(Patched("a", "label", 422, "no"))
    assert any("could not be labelled" in action.message for action in case.said if isinstance(action, Say))
    case.tell(GuardPassed())
    assert case.sent == ["p"]
    case.tell(Gone("pods", "u-p"))
    assert case.state.finish.message == "1 nodes were left out when their time ran out: a"


def test_a_node_that_was_left_out_loses_its_mark_when_it_is_drained():
    case = Case(old_node(labels={"pool": "old", QUARANTINE_LABEL: "true"}), make_pod("p"))
    case.begin()
    case.tell(Gone("pods", "u-p"))
    case.at(3.0)
    assert LabelNode("n", quarantined=False) in case.actions
    case.tell(Patched("n", "label", 200))
    assert case.actions[-1].outcome == "drained"


@replays(
    "karpenter: pre-emptive delete at deadline minus grace",
    "deleted at the deadline, not before: until then budgets hold; then its own grace",
)
def test_force_deletes_only_after_the_deadline_with_the_pods_own_grace_and_says_so():
    case = stuck(on_timeout="force")
    case.at(59.0)
    case.answer("held", 429, causes=("DisruptionBudget",))
    assert deletions(case) == []
    case.at(60.0)
    assert deletions(case) == [Evict("ns", "held", "u-held", "n", grace=45)]
    case.answer("held", 200)
    case.tell(Seen(changed(make_pod("held", owner="held", grace=45), deleted_at=1_000_105.0)))
    case.at(104.0)
    assert case.state.finish is None, "it has its grace"
    case.tell(Gone("pods", "u-held"))
    case.at(105.0)
    assert case.state.finish.outcome == "drained"
    body = report(case).to_json()
    assert body["forced"] == [{"pod": "ns/held", "uid": "u-held", "node": "n"}]
    assert {pod["name"]: pod["outcome"] for pod in body["pods"]} == {"held": "forced", "free": "evicted"}


@replays("karpenter: grace is at least 1", "the same")
@replays("karpenter: stuck terminating is bypassed", "not bypassed: named, and the drain ends")
def test_force_gives_a_pod_without_grace_one_second_and_ends_when_even_that_does_not_help():
    case = Case(old_node(), NEVER, make_pod("held", owner="held", grace=0), on_timeout="force")
    case.begin()
    case.at(60.0)
    assert [action.grace for action in deletions(case)] == [1]
    case.answer("held", 200)
    case.tell(Seen(changed(make_pod("held", owner="held"), deleted_at=1_000_061.0, finalizers=("x/y",))))
    case.at(91.0)
    finish = case.actions[-1]
    assert finish.outcome == "blocked"
    assert [entry.reason for entry in finish.diagnoses] == ["stuck-finalizer"]


@replays("karpenter: upgrade to force", "a pod that was asked to leave is deleted when time is up")
def test_force_is_asked_again_when_its_answer_is_lost():
    case = stuck(on_timeout="force")
    case.at(60.0)
    case.answer("held", 0, message="reset")
    case.tell(Seen(make_pod("held", owner="held", grace=45)))
    case.at(62.0)
    assert len(deletions(case)) == 2


def test_force_never_takes_a_pod_that_needs_a_consent_of_its_own():
    bare = make_pod("bare")
    case = Case(old_node(), make_pod("p"), on_timeout="force")
    case.begin()
    case.tell(Seen(changed(bare, owner=None)))
    case.tell(Gone("pods", "u-p"))
    case.at(60.0)
    assert deletions(case) == []
    assert [entry.reason for entry in case.state.finish.diagnoses] == ["bare-pod"]


@replays("karpenter: past the deadline no tier gates another", "the same")
def test_force_does_not_wait_for_jobs_or_tiers_any_longer():
    job = make_pod("job", owner="job", kind="Job")
    last = make_pod("dns", owner="dns", priority=2_000_000_000)
    case = Case(old_node(), job, last, on_timeout="force", jobs="wait")
    case.begin()
    assert case.sent == []
    case.at(60.0)
    assert {action.name for action in deletions(case)} == {"job", "dns"}


def test_critical_pods_go_when_the_others_of_their_node_have_gone():
    pods = [
        make_pod("app"),
        make_pod("dns", owner="dns", priority=2_000_000_000),
        make_pod("net", owner="net", priority=2_000_001_000),
        make_pod("elsewhere", "m", owner="x", priority=2_000_001_000),
    ]
    case = Case(old_node(), old_node("m"), controller("dns"), *pods)
    case.begin()
    assert sorted(case.sent) == ["app", "elsewhere"]
    case.tell(Seen(controller("dns", 2)))
    assert case.sent == [], "no change of its owner or budget puts it forward"
    case.tell(Seen(BudgetView(namespace="ns", name="b", uid="b", match_labels={"app": "dns"}, allowed=1)))
    assert case.sent == []
    waiting = {entry.object: entry for entry in case.state.blocked(case.now)}
    assert waiting["pod ns/dns"].numbers == {"before": 1}
    case.answer("app", 201)
    case.tell(Seen(changed(pods[0], deleted_at=1_000_030.0)))
    assert case.sent == [], "not before it is gone"
    case.tell(Gone("pods", "u-app"))
    assert case.sent == ["dns"]
    case.answer("dns", 201)
    case.tell(Gone("pods", "u-dns"))
    assert case.sent == ["net"]


def test_a_job_that_is_waited_for_goes_when_it_is_finished():
    job = make_pod("job", owner="job", kind="Job")
    case = Case(old_node(), job, jobs="wait")
    case.begin()
    assert case.sent == []
    assert [entry.reason for entry in case.state.blocked(30.0, after=5.0)] == ["wait-completed"]
    case.tell(Seen(changed(job, phase="Succeeded", ready=False)))
    assert case.sent == ["job"]


def later(case, *times):
    """Time passes; whoever asks the budget meanwhile is refused."""
    for now in times:
        case.at(now)
        while asked := [action.name for action in case.actions if isinstance(action, Evict) and action.grace is None]:
            for name in asked:
                case.answer(name, 429, causes=("DisruptionBudget",))


def guarded(*pods, rule, **settings):
    """Pods under one budget that has no room; `sibling` runs on a node that is not drained. Overdue from 60 s on."""
    budget = BudgetView(namespace="ns", name="b", uid="b", match_labels={"app": "rs"}, needed=9, healthy=9, expected=9)
    sibling = make_pod("sibling", "elsewhere", ready_since=WALL - 100)
    case = Case(
        old_node(), old_node("m"), budget, sibling, *pods, on_timeout="force", force=ForceRule(**rule), **settings
    )
    case.begin()
    later(case, 60.0)
    return case


def seen_going(case, name):
    """A forced pod of node m begins to terminate, with its grace of 30 s."""
    case.answer(name, 200)
    case.tell(Seen(changed(make_pod(name, "m"), deleted_at=WALL + case.now + 30)))


def test_a_pod_is_forced_only_when_it_is_old_enough():
    case = guarded(make_pod("young", started_at=WALL), rule={"pod_age": 100})
    assert deletions(case) == []
    assert any("pods under budgets wait" in action.message for action in case.said if isinstance(action, Say))
    later(case, 99.0)
    assert deletions(case) == []
    later(case, 104.0)
    assert [action.name for action in deletions(case)] == ["young"]
    assert case.state.finish is None


def test_a_pod_is_forced_only_when_its_siblings_have_been_ready_for_long():
    case = guarded(make_pod("p"), rule={"siblings_ready": 300})
    assert deletions(case) == [], "the sibling has been ready for 160 s"
    case.tell(Seen(make_pod("sibling", "elsewhere", ready=False)))
    later(case, 250.0)
    assert deletions(case) == [], "now it is not ready"
    case.tell(Seen(make_pod("sibling", "elsewhere", ready_since=WALL + 251)))
    later(case, 545.0)
    assert deletions(case) == []
    later(case, 551.0)
    assert [action.name for action in deletions(case)] == ["p"]


def test_siblings_are_not_forced_together():
    first, second = make_pod("p", ready_since=WALL - 900), make_pod("q", "m", ready_since=WALL - 900)
    case = guarded(first, second, rule={"siblings_ready": 60})
    assert [action.name for action in deletions(case)] == ["q"]
    seen_going(case, "q")
    later(case, 66.0)
    assert len(deletions(case)) == 1
    case.tell(Gone("pods", "u-q"))
    later(case, 71.0)
    assert [action.name for action in deletions(case)] == ["q", "p"], "the first is gone and the others are ready"


def test_an_interval_lies_between_two_of_a_node():
    pods = [make_pod(name) for name in ("p", "q")]
    case = guarded(*pods, make_pod("other", "m"), rule={"interval": 40})
    assert [action.name for action in deletions(case)] == ["other", "p"], "each node has its own"
    later(case, 99.0)
    assert len(deletions(case)) == 2
    later(case, 104.0)
    assert [action.name for action in deletions(case)] == ["other", "p", "q"]


def test_what_may_not_be_forced_waits_for_its_budget_and_at_most_for_the_total_timeout():
    case = guarded(make_pod("p", started_at=WALL), rule={"pod_age": 5000}, total_timeout=200)
    later(case, 120.0)
    case.tell(Seen(BudgetView(namespace="ns", name="b", uid="b", match_labels={"app": "rs"}, allowed=1)))
    assert [(action.name, action.grace) for action in case.actions if isinstance(action, Evict)] == [("p", None)]
    case.answer("p", 429, causes=("DisruptionBudget",))
    case.at(200.0)
    assert case.state.finish.message == "the total timeout of 200 s ran out"
    assert deletions(case) == []


def test_pods_without_a_budget_need_no_rule():
    case = Case(old_node(), controller(desired=3), make_pod("p"), on_timeout="force", force=ForceRule(pod_age=10**6))
    case.begin()
    case.answer("p", 400, message='admission webhook "w" denied the request')
    case.at(60.0)
    assert [action.name for action in deletions(case)] == ["p"]


@replays("karpenter: terminating pod with a longer grace is shortened", "never: its owner asked for that grace")
def test_the_grace_of_a_terminating_pod_is_never_shortened():
    case = Case(old_node(), make_pod("p", grace=6000), on_timeout="force", total_timeout=300)
    case.begin()
    case.answer("p", 201)
    case.tell(Seen(changed(make_pod("p", grace=6000), deleted_at=WALL + 6000)))
    for now in (60.0, 200.0, 300.0):
        case.at(now)
    assert deletions(case) == []
    assert [entry.reason for entry in case.state.finish.diagnoses] == ["terminating-grace"]


@replays("karpenter: the earlier deadline is kept", "a pod that comes later has what is left of its node's time")
def test_a_pod_that_comes_later_does_not_move_the_deadline():
    case = stuck(on_timeout="force")
    later(case, 50.0)
    case.tell(Seen(make_pod("late", owner="held")))
    case.at(60.0)
    assert {action.name for action in deletions(case)} == {"held", "late"}
