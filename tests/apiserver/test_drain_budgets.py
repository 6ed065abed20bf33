"""Drains against the real eviction API, disruption controller and scheduler."""

import threading

import pytest

from pulumi_nodepools.cluster import eviction
from pulumi_nodepools.cluster.drainer import uncordon
from pulumi_nodepools.cluster.watch import RESOURCES
from pulumi_nodepools.drain.answers import meaning
from pulumi_nodepools.drain.classify import SAFE_TO_EVICT
from pulumi_nodepools.drain.events import Evict
from pulumi_nodepools.errors import AccessDeniedError, CapacityError, DrainBlockedError
from pulumi_nodepools.names import DRAINING_TAINT, OWNER_ANNOTATION
from tests.apiserver.drain_case import NODES, Audit, node, on, pod_spec
from tests.conformance import replays

pytestmark = pytest.mark.apiserver


def nodes_now(cluster, names):
    return [cluster.request("GET", f"{NODES}/{name}") for name in names]


def test_sixty_pods_leave_six_nodes_without_ever_breaking_a_budget(cluster, monkeypatch):
    space = cluster.namespace()
    old = cluster.nodes("roll-old", 6)
    for index in range(6):
        cluster.deployment(space, f"app-{index}", 10, **on("roll-old", "roll-new"))
        cluster.budget(space, f"app-{index}", minAvailable=8)
    cluster.wait_ready(space, 60)
    cluster.nodes("roll-new", 6)
    cluster.wait(lambda: all(cluster.allowed(space, f"app-{index}") == 2 for index in range(6)))
    guarded, watched = [], set()
    open_watch = cluster.client.watch_lines

    def watch(path, **more):
        watched.add(path)
        return open_watch(path, **more)

    with Audit(cluster, space) as audit:
        # By their paths: a watch that the server cut off is opened again.
        monkeypatch.setattr(cluster.client, "watch_lines", watch)
        report = cluster.drain("roll-old", batch_size="50%", guard=guarded.append)
    assert audit.least_ready() >= 48
    assert {pod["spec"].get("nodeName", "")[:8] for pod in cluster.pods(space)} == {"roll-new"}
    assert all(item["spec"].get("unschedulable") for item in nodes_now(cluster, old))
    assert len(guarded) >= 3, "before the cordon and before each of two batches"
    moved = [pod for pod in report.pods if pod.outcome == "evicted"]
    assert len({pod.uid for pod in moved}) == len(moved) == 60
    calls = report.api_calls
    evictions = sum(calls["evict"].values())
    assert evictions <= 120, calls
    assert "get" not in calls, "no request per pod or node but the eviction"
    assert sum(calls["list"].values()) == len(RESOURCES), "one list for each kind of object"
    kinds = {resource.path for resource in RESOURCES}
    assert kinds - watched == {"/apis/apps/v1/deployments"}, "and a watch, but of Deployments only for a surge"
    assert report.to_json()["run"]["outcome"] == "drained"


@replays("karpenter: budget blocks, then frees", "used at once, by the budget's own watch")
def test_a_freed_budget_is_used_by_the_watch(cluster):
    space = cluster.namespace()
    cluster.nodes("free-old", 1)
    cluster.deployment(space, "app", 1, **on("free-old", "free-new"))
    cluster.wait_ready(space, 1)
    cluster.budget(space, "app", minAvailable=1)
    cluster.wait(lambda: cluster.allowed(space, "app") == 0)
    cluster.nodes("free-new", 1)
    blocked = threading.Event()
    reasons = []

    def listen(progress):
        reasons.extend(entry.reason for entry in progress.blocked)
        if progress.blocked and not blocked.is_set():
            blocked.set()
            path = f"/apis/policy/v1/namespaces/{space}/poddisruptionbudgets/app"
            body = cluster.request("GET", path)
            body["spec"]["minAvailable"] = 0
            cluster.request("PUT", path, body)

    report = cluster.drain("free-old", listen=listen)
    assert "pdb-impossible" in reasons
    (pod,) = [pod for pod in report.pods if pod.namespace == space]
    assert pod.attempts <= 2, "no polling: the budget's own watch released it"
    assert pod.outcome == "evicted"


@replays("eksctl: never drains", "timeout error within a second of the deadline, with the budget and its numbers")
@replays("karpenter: budget keeps the node", "nothing is deleted; a second run goes on")
def test_an_impossible_budget_ends_at_the_deadline_with_its_name_numbers_and_fix(cluster):
    space = cluster.namespace()
    cluster.nodes("stuck", 1)
    cluster.deployment(space, "app", 2, **on("stuck"))
    cluster.wait_ready(space, 2)
    cluster.budget(space, "tight", app="app", minAvailable=2)
    cluster.wait(lambda: cluster.allowed(space, "tight") == 0)
    with pytest.raises(DrainBlockedError, match=f"{space}/tight") as caught:
        cluster.drain("stuck", node_timeout=6)
    report = caught.value.report
    assert {entry.reason for entry in report.diagnosis} == {"pdb-impossible"}
    assert "needs 2 of 2" in str(caught.value)
    assert 6 <= report.nodes[0].evict[0] + 6 <= report.seconds <= report.nodes[0].evict[0] + 7, "kept to a second"
    assert len(cluster.ready(space)) == 2
    cluster.request("DELETE", f"/apis/policy/v1/namespaces/{space}/poddisruptionbudgets/tight")
    # Run again with room made, it goes on: the pods have nowhere to go, so the gate reports that instead.
    with pytest.raises(DrainBlockedError, match="replacement-unschedulable"):
        cluster.drain("stuck", node_timeout=6)


@replays("karpenter: two budgets, message", "both budgets by name")
def test_two_budgets_on_one_pod_are_both_named(cluster):
    space = cluster.namespace()
    cluster.nodes("double", 1)
    cluster.deployment(space, "app", 1, **on("double"))
    cluster.wait_ready(space, 1)
    for name in ("one", "two"):
        cluster.budget(space, name, app="app", minAvailable=0)
    with pytest.raises(DrainBlockedError, match="pdb-multiple") as caught:
        cluster.drain("double", node_timeout=5)
    assert f"{space}/one" in str(caught.value)
    assert f"{space}/two" in str(caught.value)


@replays("capi: unreplicated, standalone", "refused, where theirs warns and evicts: the pod would be lost")
@replays("karpenter: no owner", "refused unless consented to")
def test_a_bare_pod_is_refused_before_any_node_is_touched(cluster):
    space = cluster.namespace()
    (name,) = cluster.nodes("bare", 1)
    cluster.request(
        "POST",
        f"/api/v1/namespaces/{space}/pods",
        {"metadata": {"name": "lonely"}, "spec": pod_spec(nodeName=name)},
    )
    cluster.wait_ready(space, 1)
    guarded = []
    with pytest.raises(DrainBlockedError, match=f"pod {space}/lonely.*barePods: allow"):
        cluster.drain("bare", guard=guarded.append)
    (now,) = nodes_now(cluster, [name])
    assert not now["spec"].get("unschedulable")
    assert OWNER_ANNOTATION not in now["metadata"]["annotations"]
    assert guarded == []
    report = cluster.drain("bare", bare_pods="allow")
    assert [pod.outcome for pod in report.pods] == ["evicted"]


@replays("kubectl: waitForDelete, same name and other UID", "the pod that was asked for is gone")
@replays("karpenter: same-name pod is not evicted by an old key", "keys are UIDs")
def test_a_pod_of_the_same_name_elsewhere_is_not_evicted(cluster):
    space = cluster.namespace()
    cluster.nodes("name-old", 1)
    cluster.stateful_set(space, "db", 1, **on("name-old", "name-new"))
    cluster.wait_ready(space, 1)
    cluster.nodes("name-new", 1)
    report = cluster.drain("name-old")
    cluster.wait_ready(space, 1)
    (pod,) = cluster.pods(space)
    assert pod["metadata"]["name"] == "db-0"
    assert pod["spec"]["nodeName"] == "name-new-0"
    (moved,) = [item for item in report.pods if item.namespace == space]
    assert (moved.attempts, moved.outcome) == (1, "evicted")
    assert moved.uid != pod["metadata"]["uid"]


@replays("karpenter: UID mismatch", "refused by the precondition, the new pod stays")
def test_an_eviction_for_a_uid_that_is_gone_leaves_the_new_pod_alone(cluster):
    space = cluster.namespace()
    cluster.nodes("uid", 1)
    cluster.stateful_set(space, "db", 1, **on("uid"))
    cluster.wait_ready(space, 1)
    (pod,) = cluster.pods(space)
    stale = Evict(space, "db-0", "00000000-0000-0000-0000-000000000000", "uid-0")
    assert meaning(eviction.evict(cluster.client, stale)) == "conflict"
    (after,) = cluster.pods(space)
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert "deletionTimestamp" not in after["metadata"]


@replays("kured: blocker pod", "an opt-out refuses the drain before any node is touched")
def test_an_opted_out_pod_is_named_before_any_node_is_touched(cluster):
    space = cluster.namespace()
    names = cluster.nodes("optout", 1)
    cluster.deployment(space, "app", 1, annotations={SAFE_TO_EVICT: "false"}, **on("optout"))
    cluster.wait_ready(space, 1)
    with pytest.raises(DrainBlockedError, match=f"opted-out.*{SAFE_TO_EVICT}=false"):
        cluster.drain("optout")
    assert not any(item["spec"].get("unschedulable") for item in nodes_now(cluster, names))


def test_workloads_without_a_budget_are_paced(cluster):
    space = cluster.namespace()
    cluster.nodes("pace-old", 2)
    cluster.deployment(space, "app", 8, **on("pace-old", "pace-new"))
    cluster.wait_ready(space, 8)
    cluster.nodes("pace-new", 2)
    with Audit(cluster, space) as audit:
        cluster.drain("pace-old")
    assert audit.least_ready() >= 6, "at most a quarter of eight at a time"


@replays("kubectl: cordon, already, patched, several", "all of them before the first eviction")
@replays("kured: node already cordoned", "stays cordoned")
@replays("eksctl: undo uncordons", "only what this drain had cordoned")
def test_all_nodes_are_cordoned_first_and_foreign_cordons_stay_foreign(cluster):
    space = cluster.namespace()
    names = cluster.nodes("cordon", 4)
    foreign = cluster.request("GET", f"{NODES}/{names[0]}")
    foreign["spec"]["unschedulable"] = True
    cluster.request("PUT", f"{NODES}/{names[0]}", foreign)
    cluster.deployment(space, "app", 4, **on("cordon", "cordon-new"))
    cluster.wait_ready(space, 4)
    cluster.nodes("cordon-new", 1)
    seen = []
    cluster.drain("cordon", batch_size="25%", guard=lambda world: seen.append({n.name: n for n in world.nodes}))
    at_first_batch = seen[1]
    assert all(at_first_batch[name].unschedulable for name in names)
    assert all(any(t.key == DRAINING_TAINT for t in at_first_batch[name].taints) for name in names[1:])
    assert not any(at_first_batch[name].unschedulable for name in seen[0] if name.startswith("cordon-new"))
    assert sorted(uncordon(cluster.client, lambda view: view.name in names, "test/cordon")) == names[1:]
    after = nodes_now(cluster, names)
    assert [bool(item["spec"].get("unschedulable")) for item in after] == [True, False, False, False]
    assert not any(t["key"] == DRAINING_TAINT for item in after for t in item["spec"].get("taints") or [])


@replays("bouncer: capacity mismatch", "refused before anything is touched")
def test_the_guard_stops_everything_before_the_first_cordon(cluster):
    names = cluster.nodes("guard", 2)

    def refuse(_world):
        raise CapacityError("no room")

    with pytest.raises(CapacityError, match="no room"):
        cluster.drain("guard", guard=refuse)
    assert not any(item["spec"].get("unschedulable") for item in nodes_now(cluster, names))


def test_a_node_that_joins_during_the_drain_is_drained_too(cluster):
    space = cluster.namespace()
    cluster.nodes("join", 1)
    cluster.deployment(space, "app", 1, **on("join", "join-new"))
    cluster.wait_ready(space, 1)
    cluster.nodes("join-new", 1)

    calls = []

    def guard(_world):
        calls.append(1)
        if len(calls) == 2:
            cluster.request("POST", NODES, node("join-late", {"pool": "join"}, "a"))

    report = cluster.drain("join", guard=guard)
    assert sorted(item.name for item in report.nodes if item.phase == "done") == ["join-0", "join-late"]
    assert cluster.request("GET", f"{NODES}/join-late")["spec"]["unschedulable"]


@replays("karpenter: pods that tolerate the taint", "evicted at most three times, then reported as coming back")
def test_a_pod_that_comes_back_to_its_node_is_diagnosed_not_evicted_for_ever(cluster):
    space = cluster.namespace()
    cluster.nodes("loop", 1)
    everything = [{"operator": "Exists"}]
    cluster.deployment(space, "app", 1, tolerations=everything, **on("loop"))
    cluster.wait_ready(space, 1)
    with pytest.raises(DrainBlockedError, match="returns-to-node") as caught:
        cluster.drain("loop", node_timeout=25)
    evicted = [pod for pod in caught.value.report.pods if pod.outcome == "evicted"]
    assert 2 <= len(evicted) <= 4


def test_missing_rights_are_named(cluster, tmp_path):
    from pulumi_nodepools.cluster.access import Access
    from pulumi_nodepools.cluster.client import Client

    cluster.nodes("rights", 1)
    path = cluster.plane.mint_kubeconfig(tmp_path / "nobody", "nobody")
    with pytest.raises(AccessDeniedError, match="cannot get resource"):
        Client.connect(Access("kubeconfig", path=str(path)))


@replays("kubectl: waitForDelete, context cancelled", "stops between evictions, resumable")
@replays("bouncer: resume with k new nodes", "recomputed from the cluster")
def test_stop_ends_the_drain_and_a_second_run_goes_on(cluster):
    space = cluster.namespace()
    cluster.nodes("halt", 2)
    cluster.deployment(space, "app", 4, **on("halt", "halt-new"))
    cluster.wait_ready(space, 4)
    cluster.nodes("halt-new", 1)
    stop = threading.Event()

    def listen(progress):
        if progress.nodes_done:
            stop.set()

    with pytest.raises(DrainBlockedError, match="told to stop"):
        cluster.drain("halt", batch_size="1", stop=stop, listen=listen)
    report = cluster.drain("halt", batch_size="1")
    assert report.outcome == "drained"
    assert {pod["spec"]["nodeName"] for pod in cluster.ready(space)} == {"halt-new-0"}
