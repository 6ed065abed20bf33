"""The proof of what drains never ask can fail: each forbidden request, sent on purpose, is found."""

import pytest

from pulumi_nodepools.cluster import eviction
from pulumi_nodepools.drain.events import Evict
from tests.apiserver.drain_case import pod_spec
from tests.conformance import replays

pytestmark = pytest.mark.apiserver


@pytest.fixture
def pod(cluster):
    """A bare pod on a node of its own that takes its time to end."""
    space = cluster.namespace()
    (node,) = cluster.nodes(f"log-{space}", 1)
    slow = {"sandbox.nodepools.dev/stop-delay": "20"}
    body = {"metadata": {"name": "p", "annotations": slow}, "spec": pod_spec(nodeName=node)}
    body["spec"]["terminationGracePeriodSeconds"] = 20
    made = cluster.request("POST", f"/api/v1/namespaces/{space}/pods", body)
    cluster.wait_ready(space, 1)
    return Evict(space, "p", made["metadata"]["uid"], node)


def path(pod):
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"


def found(cluster):
    return [line.partition(":")[0] for line in cluster.requests.violations()]


@replays("kubectl: exact Eviction objects", "the UID as precondition, no grace: the pod has its own")
@replays("kubectl: lists carry limit=500", "one paged list of all pods")
def test_one_eviction_with_a_uid_is_as_it_should_be(cluster, pod):
    assert eviction.evict(cluster.client, pod).code == 201
    assert found(cluster) == []
    assert cluster.requests.evictions == 1


def test_a_second_eviction_is_found(cluster, pod):
    for _ in range(2):
        assert eviction.evict(cluster.client, pod).code == 201
    assert found(cluster) == ["eviction of a pod whose eviction was accepted before"]


def test_an_eviction_of_a_terminating_pod_is_found(cluster, pod, monkeypatch):
    monkeypatch.setattr("tests.apiserver.request_log._LAG", 0.0)
    cluster.request("DELETE", path(pod))
    eviction.evict(cluster.client, pod)
    assert found(cluster) == ["eviction of a pod that somebody else had deleted"]


def test_an_eviction_without_a_uid_or_with_a_grace_is_found(cluster, pod):
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p", "namespace": pod.namespace}}
    for options in ({}, {"gracePeriodSeconds": 0, "preconditions": {"uid": pod.uid}}):
        cluster.client.request("POST", path(pod) + "/eviction", body={**body, "deleteOptions": options})
    assert found(cluster) == [
        "eviction without a UID",
        "eviction with a grace that is not the pod's own",
    ]


def test_a_deletion_is_found_unless_it_was_forced(cluster, pod):
    with cluster.requests.forcing():
        cluster.client.delete(
            path(pod), {"kind": "DeleteOptions", "gracePeriodSeconds": 9, "preconditions": {"uid": pod.uid}}
        )
    assert found(cluster) == []
    cluster.client.delete(path(pod))
    assert found(cluster) == [
        "deletion of a pod although nobody forced it",
        "deletion without a UID",
        "deletion without a grace of its own",
    ]


def test_requests_for_one_pod_or_one_node_are_found(cluster, pod):
    cluster.client.get(path(pod))
    cluster.client.get("/api/v1/pods", fieldSelector=f"spec.nodeName={pod.node}")
    cluster.client.get("/api/v1/pods")
    assert found(cluster) == [
        "request for a single pod",
        "list of the pods of one node",
        "list of pods that is not paged",
    ]
