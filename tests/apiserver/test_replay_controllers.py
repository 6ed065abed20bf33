"""What Cluster API, Karpenter and others expect of a drain, in one drain of three nodes and a few small ones."""

import threading

import pytest

from pulumi_nodepools.errors import DrainBlockedError
from tests.apiserver import replay_case as make
from tests.apiserver.drain_case import NODES, on
from tests.apiserver.replay_case import EMPTY_DIR, Replay
from tests.conformance import replays, row

pytestmark = pytest.mark.apiserver
OLD, NEW = "fleet-old", "fleet-new"
SKIP, WAIT = {"cluster.x-k8s.io/drain": "skip"}, {"cluster.x-k8s.io/drain": "wait-completed"}


@pytest.fixture(scope="module")
def drained(cluster):
    """Every kind of pod of the tables over three nodes, drained at once."""
    space = cluster.namespace()
    cluster.nodes(OLD, 3)
    node = f"{OLD}-0"
    node_uid = cluster.request("GET", f"{NODES}/{node}")["metadata"]["uid"]
    everywhere = on(OLD, NEW)
    cluster.deployment(space, "managed", 3, **everywhere)
    cluster.deployment(space, "local", 1, **EMPTY_DIR, **everywhere)
    cluster.deployment(space, "free", 2, **everywhere)
    cluster.budget(space, "free", maxUnavailable=1)
    cluster.stateful_set(space, "named", 1, **everywhere)
    make.job(cluster, space, "completes", {"sandbox.nodepools.dev/run-time": "14"}, **on(OLD))
    cluster.deployment(space, "skip", 1, labels=SKIP, **on(OLD))
    cluster.deployment(space, "skip-loud", 1, labels={"cluster.x-k8s.io/drain": "SKIP"}, **on(OLD))
    make.daemon_set(cluster, space, "daemon", **on(OLD))
    other = make.owned_by("example.com/v1", "DaemonSet", "other", "11111111-1111-1111-1111-111111111111")
    make.bare(cluster, space, "other-daemon", node, owner=other)
    make.bare(cluster, space, "static", node, owner=make.owned_by("v1", "Node", node, node_uid))
    make.bare(cluster, space, "going", node, annotations={"sandbox.nodepools.dev/stop-delay": "7"})
    cluster.request("PATCH", f"/api/v1/namespaces/{space}/pods/going", {"metadata": {"labels": {"app": "going"}}})
    cluster.wait_ready(space, 16)
    cluster.nodes(NEW, 2)
    cluster.wait(lambda: cluster.allowed(space, "free") == 1)
    cluster.request("DELETE", f"/api/v1/namespaces/{space}/pods/going", {"gracePeriodSeconds": 20})
    replay = Replay(cluster, [space])
    return replay.ended(cluster.drain(OLD, jobs="wait", batch_size="100%"))


@pytest.mark.parametrize(
    ("app", "outcome", "attempts"),
    [
        row("capi: emptyDir, running", "evicted without a warning unless `emptyDir: block`", "local", "evicted", 1),
        row("capi: unreplicated, managed", "evicted", "managed", "evicted", 3),
        row(
            "capi: DaemonSet of another API group",
            "an ordinary controller's pod: evicted",
            "other-daemon",
            "evicted",
            1,
        ),
        row("capi: EvictPods, success", "evicted", "named", "evicted", 1),
        row("capi: EvictPods, already terminating", "waited for, never evicted", "going", None, 0),
        row("capi: WaitCompleted", "left to complete, then removed like any finished pod", "completes", "evicted", 1),
        row("karpenter: no budget", "evicted", "managed", "evicted", 3),
        row("karpenter: budget allows", "one at a time under the budget", "free", "evicted", None),
        row("eksctl: success", "evicted", "managed", "evicted", 3),
    ],
)
def test_what_leaves(drained, app, outcome, attempts):
    assert not drained.left(app)
    if outcome:
        assert drained.outcome(app) == {outcome}
    if attempts is not None:
        assert drained.attempts(app) == attempts


@pytest.mark.parametrize(
    ("app", "why"),
    [
        row("capi: DaemonSet, real", "left alone", "daemon", "daemonset"),
        row("capi: drain label skip", "left alone, listed as skipped", "skip", "skip-asked"),
        row("capi: drain label SKIP", "the same in capitals", "skip-loud", "skip-asked"),
        row("karpenter: static pod", "owned by its Node: left alone", "static", "mirror"),
    ],
)
def test_what_stays(drained, app, why):
    assert drained.left(app)
    assert drained.attempts(app) == 0
    assert set(drained.reasons(app)) == {why}


@replays("karpenter: 10 nodes in parallel", "every node of the batch is drained, each pod by one eviction")
def test_nodes_are_drained_in_parallel(drained):
    assert [node.phase for node in drained.report.nodes] == ["done"] * 3
    assert len({node.evict[0] for node in drained.report.nodes}) == 1
    assert all(pod.attempts <= 2 for pod in drained.report.pods)


@replays("karpenter: node not deleted until all pods are gone", "a node is done after the last pod that terminates")
def test_the_node_waits_for_the_pod_that_was_going(drained):
    (first,) = [node for node in drained.report.nodes if node.name == f"{OLD}-0"]
    assert first.evict[1] - first.evict[0] >= 3


@replays(
    "capi: end to end, step by step", "every obstacle is named at once; each that is cleared lets its pods go at once"
)
def test_obstacles_are_named_and_cleared_one_by_one(cluster):
    space = cluster.namespace()
    cluster.nodes("steps-old", 1)
    for app in ("guarded", "held", "waits"):
        labels = WAIT if app == "waits" else {}
        cluster.deployment(space, app, 1, labels=labels, **on("steps-old", "steps-new"))
    cluster.wait_ready(space, 3)
    cluster.budget(space, "guarded", minAvailable=1)
    cluster.wait(lambda: cluster.allowed(space, "guarded") == 0)
    pods = {pod["metadata"]["labels"]["app"]: pod["metadata"]["name"] for pod in cluster.pods(space)}
    held = f"/api/v1/namespaces/{space}/pods/{pods['held']}"
    cluster.request("PATCH", held, {"metadata": {"finalizers": ["tests.nodepools.dev/hold"]}})
    cluster.nodes("steps-new", 1)
    steps = {
        "pdb-impossible": lambda: cluster.request(
            "DELETE", f"/apis/policy/v1/namespaces/{space}/poddisruptionbudgets/guarded"
        ),
        "stuck-finalizer": lambda: make.release(cluster, space, pods["held"]),
        "wait-completed": lambda: make.finish(cluster, space, pods["waits"], "Succeeded"),
    }
    seen = []

    def listen(progress):
        reasons = {entry.reason for entry in progress.blocked}
        if not seen and set(steps) <= reasons:
            seen.append(reasons)
            for clear in steps.values():
                clear()

    report = cluster.drain("steps-old", listen=listen)
    assert seen == [{"pdb-impossible", "stuck-finalizer", "wait-completed"}]
    assert report.outcome == "drained"
    assert {pod.outcome for pod in report.pods} == {"evicted"}


@pytest.fixture(scope="module")
def half_blocked(cluster):
    """Pods under two budgets, one and none; two pods of one impossible budget; a node that vanishes."""
    spaces = [cluster.namespace() for _ in range(2)]
    cluster.nodes("half-old", 1)
    cluster.nodes("half-lost", 1)
    for app in ("double", "plain", "tight"):
        cluster.deployment(spaces[0], app, 2, **on("half-old", "half-new"))
    cluster.deployment(spaces[1], "lost", 1, **on("half-lost", "half-new"))
    cluster.wait_ready(spaces[0], 6)
    cluster.wait_ready(spaces[1], 1)
    for name in ("one", "two"):
        cluster.budget(spaces[0], name, app="double", minAvailable=0)
    cluster.budget(spaces[0], "tight", minAvailable=2)
    cluster.budget(spaces[1], "lost", minAvailable=1)
    cluster.wait(lambda: cluster.allowed(spaces[0], "tight") == 0 and cluster.allowed(spaces[1], "lost") == 0)
    cluster.request("PATCH", f"{NODES}/half-lost-0", {"metadata": {"labels": {"pool": "half-old"}}})
    cluster.nodes("half-new", 1)
    replay = Replay(cluster, spaces)
    gone = threading.Event()

    def listen(progress):
        if progress.blocked and not gone.is_set():
            gone.set()
            cluster.request("DELETE", f"{NODES}/half-lost-0")

    with pytest.raises(DrainBlockedError) as caught:
        cluster.drain("half-old", node_timeout=14, listen=listen)
    assert gone.is_set()
    return replay.ended(caught.value.report, str(caught.value))


@replays("karpenter: two budgets", "never possible: both are named, asked for seldom, and the other pods go on")
def test_pods_under_two_budgets_hold_up_nobody_else(half_blocked):
    assert half_blocked.outcome("double") == {"left"}
    assert set(half_blocked.reasons("double")) == {"pdb-multiple"}
    assert half_blocked.attempts("double") <= 4
    assert half_blocked.outcome("plain") == {"evicted"}


@replays("eksctl: one failing pod", "does not stop the others")
def test_one_pod_that_cannot_go_stops_no_other(half_blocked):
    assert half_blocked.outcome("plain") == {"evicted"}
    assert half_blocked.outcome("tight") == {"left"}


@replays("capi: two pods with the same budget message", "one entry for each pod, with the budget's numbers")
def test_each_pod_of_a_budget_has_its_entry(half_blocked):
    entries = [entry for entry in half_blocked.report.diagnosis if entry.reason == "pdb-impossible"]
    assert len(entries) == 2
    assert {(entry.numbers["needed"], entry.numbers["expected"]) for entry in entries} == {(2, 2)}


@replays("capi: node is gone", "what was on it is nobody's to move: the node counts as gone, the drain goes on")
def test_a_node_that_is_deleted_is_not_waited_for(half_blocked):
    phases = {node.name: node.phase for node in half_blocked.report.nodes}
    assert phases["half-lost-0"] == "gone"
    assert phases["half-old-0"] == "active"


@replays("karpenter: 429", "asked a few times, further apart; then the budget's watch decides")
def test_a_budget_without_room_is_asked_seldom(half_blocked):
    assert half_blocked.attempts("tight") <= 4
