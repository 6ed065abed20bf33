"""Nodes whose time runs out, admission policies that say no, and critical pods, against the real API server."""

import pytest

from pulumi_nodepools.cluster import eviction
from pulumi_nodepools.cluster.drainer import uncordon
from pulumi_nodepools.drain.answers import meaning
from pulumi_nodepools.drain.events import Evict
from pulumi_nodepools.errors import DrainBlockedError
from pulumi_nodepools.names import QUARANTINE_LABEL
from tests.apiserver import replay_case as make
from tests.apiserver.drain_case import NODES, Audit, on
from tests.conformance import replays

pytestmark = pytest.mark.apiserver
ADMISSION = "/apis/admissionregistration.k8s.io/v1"


def held(cluster, pool, *, nodes=1):
    """An app on the first node of a pool that its budget never lets go; room for it elsewhere."""
    space = cluster.namespace()
    cluster.nodes(pool, nodes)
    cluster.deployment(space, "app", 1, terminationGracePeriodSeconds=2, **on(pool, f"{pool}-new"))
    cluster.wait_ready(space, 1)
    cluster.budget(space, "tight", app="app", minAvailable=1)
    cluster.wait(lambda: cluster.allowed(space, "tight") == 0)
    cluster.nodes(f"{pool}-new", 1)
    return space


@replays("capi: EvictPods, other 400", "retried: who denies it may be moving the pod")
def test_a_policy_that_denies_evictions_is_named_and_asked_again_until_it_allows(cluster):
    space = cluster.namespace()
    cluster.nodes("deny", 1)
    cluster.deployment(space, "app", 2, **on("deny", "deny-new"))
    cluster.wait_ready(space, 2)
    cluster.nodes("deny-new", 1)
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods/eviction"]}
    only = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space}}}
    denial = {"expression": "false", "message": "moved by the database operator"}
    spec = {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]}, "validations": [denial]}
    binding = {"policyName": "deny-evictions", "validationActions": ["Deny"], "matchResources": only}
    cluster.request(
        "POST", f"{ADMISSION}/validatingadmissionpolicies", {"metadata": {"name": "deny-evictions"}, "spec": spec}
    )
    cluster.request(
        "POST", f"{ADMISSION}/validatingadmissionpolicybindings", {"metadata": {"name": "deny"}, "spec": binding}
    )
    stale = Evict(space, cluster.pods(space)[0]["metadata"]["name"], "00000000-0000-0000-0000-000000000000", "deny-0")
    cluster.wait(lambda: meaning(eviction.evict(cluster.client, stale)) == "denied", what="the policy")
    assert eviction.evict(cluster.client, stale).code == 422
    told = []

    def listen(progress):
        denied = [entry for entry in progress.blocked if entry.reason == "webhook-denied"]
        if denied and not told:
            told.extend(denied)
            cluster.request("DELETE", f"{ADMISSION}/validatingadmissionpolicybindings/deny")

    report = cluster.drain("deny", listen=listen)
    assert report.outcome == "drained"
    assert "moved by the database operator" in told[0].message
    pods = [pod for pod in report.pods if pod.namespace == space]
    assert {pod.outcome for pod in pods} == {"evicted"}
    assert all(pod.codes["422"] >= 1 and pod.codes["201"] == 1 for pod in pods), [pod.codes for pod in pods]


@replays("karpenter: force bypasses the budget", "only on request and after the deadline, with the pod's own grace")
@replays("eksctl: disable-eviction", "budgets hold until the deadline even then")
def test_force_deletes_after_the_deadline_and_lists_what_it_deleted(cluster):
    space = held(cluster, "force")
    (pod,) = cluster.pods(space)
    with Audit(cluster, space) as audit:
        report = cluster.drain("force", node_timeout=4, on_timeout="force")
    assert report.outcome == "drained"
    (forced,) = report.to_json()["forced"]
    assert forced["uid"] == pod["metadata"]["uid"]
    assert "429" in report.pods[0].codes or report.pods[0].attempts == 1, "the budget was respected until then"
    going = [
        line["object"]["metadata"]
        for line in audit.lines
        if line["object"]["metadata"]["uid"] == forced["uid"] and "deletionTimestamp" in line["object"]["metadata"]
    ]
    assert going[0]["deletionGracePeriodSeconds"] == 2, "its own grace"
    cluster.wait_ready(space, 1)
    assert cluster.pods(space)[0]["spec"]["nodeName"] == "force-new-0"


@replays("upgrade-manager: failed drains are tried last", "`onTimeout: skip`; the next run goes on with them")
def test_skip_goes_on_with_the_others_and_the_next_run_goes_on_with_the_rest(cluster):
    space = held(cluster, "skip", nodes=2)
    (pod,) = cluster.pods(space)
    stuck = pod["spec"]["nodeName"]
    (other,) = {"skip-0", "skip-1"} - {stuck}
    with pytest.raises(DrainBlockedError, match=f"left out when their time ran out: {stuck}") as caught:
        cluster.drain("skip", node_timeout=4, on_timeout="skip", batch_size="1")
    phases = {node.name: node.phase for node in caught.value.report.nodes}
    assert phases == {stuck: "skipped", other: "done"}
    assert f"{space}/tight" in str(caught.value)
    left = cluster.request("GET", f"{NODES}/{stuck}")
    assert (left["metadata"]["labels"][QUARANTINE_LABEL], left["spec"]["unschedulable"]) == ("true", True)
    assert cluster.pods(space)[0]["metadata"]["uid"] == pod["metadata"]["uid"]
    cluster.request("DELETE", f"/apis/policy/v1/namespaces/{space}/poddisruptionbudgets/tight")
    assert cluster.drain("skip").outcome == "drained"
    assert QUARANTINE_LABEL not in cluster.request("GET", f"{NODES}/{stuck}")["metadata"]["labels"]
    assert sorted(uncordon(cluster.client, lambda view: True, "test/skip")) == ["skip-0", "skip-1"]


@replays("karpenter: noncritical before critical", "waits until the others are gone")
@replays("capi: drain order", "order comes from priority classes, three tiers")
def test_critical_pods_leave_their_node_last_and_the_csi_driver_of_a_node_never_does(cluster):
    space = cluster.namespace()
    cluster.nodes("tier", 1)
    there = on("tier", "tier-new")
    make.daemon_set(cluster, space, "csi-node", **on("tier"))
    cluster.deployment(space, "network", 1, priorityClassName="system-node-critical", **there)
    cluster.deployment(space, "dns", 1, priorityClassName="system-cluster-critical", **there)
    cluster.deployment(space, "app", 3, **there)
    cluster.wait_ready(space, 6)
    old = {pod["metadata"]["uid"]: pod["metadata"]["labels"]["app"] for pod in cluster.pods(space)}
    cluster.nodes("tier-new", 1)
    with Audit(cluster, space) as audit:
        report = cluster.drain("tier").to_json()
    story = [
        (old[uid], line["type"])
        for line in audit.lines
        if (uid := line["object"]["metadata"]["uid"]) in old and "deletionTimestamp" in line["object"]["metadata"]
    ]
    dns, network = story.index(("dns", "MODIFIED")), story.index(("network", "MODIFIED"))
    assert story[:dns].count(("app", "DELETED")) == 3, story
    assert story[:network].count(("dns", "DELETED")) == 1, story
    assert "csi-node" not in dict(story), "its volumes are detached by it"
    assert [entry["reason"] for entry in report["skipped"]] == ["daemonset"]
