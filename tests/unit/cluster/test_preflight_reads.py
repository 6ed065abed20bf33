"""A preflight of a cluster: what it reads, what only the server knows, and when it refuses."""

import pytest

from pulumi_nodepools.cluster import preflight, requests, webhooks
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import AccessDeniedError, DrainBlockedError
from tests.unit.memory_cluster import MemoryCluster

SETTINGS = DrainSettings()


@pytest.fixture
def cluster():
    made = MemoryCluster()
    made.add_node("old", "i-1", pool="worker", version="v1")
    made.add_node("new", "i-2", pool="worker", version="v2")
    pod = {"metadata": {"name": "bare", "namespace": "shop", "uid": "u"}, "spec": {"nodeName": "old"}}
    made.create("/api/v1/pods", pod)
    return made


def _of(cluster, **more):
    return preflight.of_other_versions(cluster, "worker", "v2", DrainSettings(**more))


def test_other_versions_of_the_pool_are_judged_and_the_active_one_is_not(cluster):
    assert [(one.reason, one.object) for one in _of(cluster)] == [("bare-pod", "pod shop/bare")]
    assert preflight.of_other_versions(cluster, "worker", "v1", SETTINGS) == []
    cluster.delete("/api/v1/nodes/old")
    cluster.denied = frozenset({"patch nodes"})
    assert _of(cluster) == []


def test_missing_rights_are_findings(cluster):
    cluster.denied = frozenset({"create pods/eviction", "delete pods"})
    assert [one.object for one in _of(cluster) if one.reason == "rbac"] == ["right create pods/eviction"]
    lacking = [one.object for one in _of(cluster, on_timeout="force") if one.reason == "rbac"]
    assert lacking == ["right create pods/eviction", "right delete pods"]


def test_a_reader_who_may_not_see_webhooks_is_told_that_nothing_is_known_of_them(cluster, monkeypatch):
    def refused(_client):
        raise AccessDeniedError("list validatingwebhookconfigurations: 403")

    monkeypatch.setattr(webhooks, "look", refused)
    told = [(one.severity, one.object) for one in _of(cluster) if one.reason == "rbac"]
    assert told == [("info", "webhooks of the cluster")]


def test_another_run_and_a_pause_are_findings_and_our_own_run_is_not(cluster):
    record = PoolRecord(cluster, "worker")
    with record.hold():
        assert [one.reason for one in _of(cluster)] == ["bare-pod"]
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/nodepools-worker"
        stored = cluster.get(path)
        stored["spec"]["holderIdentity"] = "another"
        cluster.replace(path, stored)
        requests.ask(record, "pause")
        assert [one.reason for one in _of(cluster)] == ["bare-pod", "held", "paused"]


def test_only_what_no_waiting_clears_is_refused_and_every_thing_is_named(cluster):
    with pytest.raises(
        DrainBlockedError, match=r"worker v1: 1 things would hold the drain for ever.*\n.*pod shop/bare"
    ) as caught:
        preflight.refuse(_of(cluster), "worker v1")
    assert [entry.reason for entry in caught.value.diagnosis] == ["bare-pod"]
    preflight.refuse(_of(cluster, acknowledge=("bare-pod/shop/bare",)), "worker v1")
    preflight.refuse(_of(cluster, bare_pods="allow"), "worker v1")
