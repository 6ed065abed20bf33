"""Single replicas that are replaced before they go, by the real Deployment controller: never below one ready pod."""

import threading

import pytest

from pulumi_nodepools.errors import DrainBlockedError
from pulumi_nodepools.names import SURGE_ANNOTATION
from tests.apiserver.drain_case import Audit, on
from tests.apiserver.test_drain_volumes import mounting, volume

pytestmark = pytest.mark.apiserver


def deployed(cluster, space, name="web"):
    return cluster.request("GET", f"/apis/apps/v1/namespaces/{space}/deployments/{name}")


def asked_for(cluster, space, name="web"):
    return (deployed(cluster, space, name)["spec"]["template"]["metadata"].get("annotations") or {}).get(
        SURGE_ANNOTATION
    )


def revisions(cluster, space):
    """How many templates a Deployment has had: one for each rollout."""
    return len(cluster.request("GET", f"/apis/apps/v1/namespaces/{space}/replicasets")["items"])


def single(cluster, pool):
    """One ready pod of a Deployment on the only node of a pool, and a node that it may move to."""
    space = cluster.namespace()
    cluster.nodes(pool, 1)
    cluster.deployment(space, "web", 1, **on(pool, f"{pool}-new"))
    cluster.wait_ready(space, 1)
    cluster.nodes(f"{pool}-new", 1)
    return space


def outcomes(report):
    return {(pod["name"].rsplit("-", 2)[0], pod["outcome"]) for pod in report.to_json()["pods"]}


def test_a_single_replica_under_a_budget_that_allows_nothing_moves_without_a_moment_of_absence(cluster):
    space = single(cluster, "one")
    cluster.budget(space, "web", minAvailable=1)
    cluster.wait(lambda: cluster.allowed(space, "web") == 0)
    before = cluster.pods(space)[0]["metadata"]["uid"]
    with Audit(cluster, space) as audit:
        report = cluster.drain("one", single_replicas="surge")
    assert (report.outcome, report.predicted) == ("drained", [])
    assert audit.least_ready() == 1
    assert outcomes(report) == {("web", "surged")}
    assert "evict" not in report.api_calls
    (pod,) = cluster.ready(space)
    assert pod["spec"]["nodeName"] == "one-new-0"
    assert deployed(cluster, space)["spec"]["replicas"] == 1
    assert asked_for(cluster, space) == before


def test_a_drain_that_dies_in_the_middle_leaves_a_rollout_that_ends_by_itself_and_is_not_asked_for_twice(cluster):
    space = single(cluster, "die")
    cluster.client.patch("/api/v1/nodes/die-new-0", {"spec": {"unschedulable": True}})
    stop = threading.Event()

    def listen(_progress):
        if asked_for(cluster, space):
            stop.set()

    with Audit(cluster, space) as audit:
        with pytest.raises(DrainBlockedError, match="stopped"):
            cluster.drain("die", single_replicas="surge", stop=stop, listen=listen)
        assert len(cluster.ready(space)) == 1, "the old pod serves while the next one finds no node"
        cluster.client.patch("/api/v1/nodes/die-new-0", {"spec": {"unschedulable": None}})
        report = cluster.drain("die", single_replicas="surge")
    assert report.outcome == "drained"
    assert audit.least_ready() == 1
    assert (revisions(cluster, space), deployed(cluster, space)["spec"]["replicas"]) == (2, 1)


def test_a_workload_that_somebody_scales_meanwhile_keeps_its_new_size(cluster):
    space = single(cluster, "grow")
    cluster.client.patch("/api/v1/nodes/grow-new-0", {"spec": {"unschedulable": True}})
    scaled = []

    def listen(_progress):
        if asked_for(cluster, space) and not scaled:
            path = f"/apis/apps/v1/namespaces/{space}/deployments/web/scale"
            scaled.append(cluster.client.patch(path, {"spec": {"replicas": 3}}))
            cluster.client.patch("/api/v1/nodes/grow-new-0", {"spec": {"unschedulable": None}})

    with Audit(cluster, space) as audit:
        assert cluster.drain("grow", single_replicas="surge", listen=listen).outcome == "drained"
    assert scaled
    assert audit.least_ready() >= 1
    assert deployed(cluster, space)["spec"]["replicas"] == 3
    cluster.wait_ready(space, 3)


def test_what_cannot_be_surged_is_evicted_and_predicted_by_name(cluster):
    space = cluster.namespace()
    cluster.nodes("not", 1)
    there = on("not", "not-new")
    cluster.deployment(space, "old", 1, **there)
    cluster.client.patch(
        f"/apis/apps/v1/namespaces/{space}/deployments/old",
        {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}},
    )
    volume(cluster, space, "not-data")
    cluster.deployment(space, "data", 1, **there, **mounting("not-data"))
    cluster.stateful_set(space, "db", 1, **there)
    cluster.wait_ready(space, 3)
    cluster.nodes("not-new", 1)
    report = cluster.drain("not", single_replicas="surge")
    assert report.outcome == "drained"
    assert {name.partition("/")[2].split("-")[0] for name in report.predicted} == {"old", "data", "db"}
    assert {outcome for _, outcome in outcomes(report)} == {"evicted"}
    assert asked_for(cluster, space, "old") is None
    assert asked_for(cluster, space, "data") is None
