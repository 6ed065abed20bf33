"""`nodepools preflight` on a real cluster: what it finds on exactly these nodes, its exit codes and its document."""

import json

import pytest

from pulumi_nodepools.cluster.record import PoolRecord
from tests.apiserver.cli_case import run
from tests.apiserver.drain_case import NODES, on, pod_spec

pytestmark = pytest.mark.apiserver


def _findings(done):
    document = json.loads(done.stdout)
    return document, {(one["severity"], one["reason"], one["object"]) for one in document["findings"]}


@pytest.fixture
def space(cluster, request):
    """Two nodes and a namespace whose pods stay on them."""
    name = f"pre-{request.node.name.split('_')[1]}"
    cluster.nodes(name, 2)
    return name, cluster.namespace()


def test_troubled_nodes_are_told_with_their_numbers_and_exit_2(cluster, space):
    name, namespace = space
    cluster.deployment(namespace, "stiff", 2, **on(name))
    cluster.budget(namespace, "stiff", minAvailable=2)
    cluster.deployment(namespace, "double", 2, labels={"tier": "x"}, **on(name))
    cluster.budget(namespace, "double", maxUnavailable=1)
    cluster.deployment(namespace, "single", 1, volumes=[{"name": "scratch", "emptyDir": {}}], **on(name))
    cluster.deployment(namespace, "loner", 1, annotations={"karpenter.sh/do-not-disrupt": "true"}, **on(name))
    bare = {"metadata": {"name": "bare", "finalizers": ["example.com/hold"]}, "spec": pod_spec(nodeName=f"{name}-0")}
    cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods", bare)
    cluster.wait_ready(namespace, 7)
    cluster.wait(lambda: cluster.allowed(namespace, "double") == 1)
    # Only now: of a pod under two budgets the disruption controller tells one alone when it is ready.
    body = {"metadata": {"name": "tiers"}, "spec": {"selector": {"matchLabels": {"tier": "x"}}, "maxUnavailable": 1}}
    cluster.request("POST", f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets", body)
    try:
        done = run(cluster, "preflight", "--selector", f"pool={name}", "--output", "json", "--force")
        document, found = _findings(done)
        assert done.returncode == 2, done.stderr
        assert {
            ("never", "pdb-impossible", f"budget {namespace}/stiff"),
            ("never", "pdb-multiple", f"workload {namespace}/double"),
            ("warning", "single-replica", f"workload {namespace}/single"),
            ("warning", "bare-pod", f"workload {namespace}/bare"),
            ("warning", "finalizer", f"workload {namespace}/bare"),
        } <= found
        assert {one["reason"] for one in document["diagnosis"]} == {
            "local-data",
            "opted-out",
            "pdb-impossible",
            "pdb-multiple",
        }
        (stiff,) = [one for one in document["findings"] if one["object"] == f"budget {namespace}/stiff"]
        assert (stiff["numbers"]["needed"], stiff["numbers"]["expected"], stiff["numbers"]["pods"]) == (2, 2, 2)
        known = [f"--acknowledge={one['reason']}/{namespace}/*" for one in document["diagnosis"]]
        accepted = run(cluster, "preflight", "--selector", f"pool={name}", "--force", *known)
        assert accepted.returncode == 0, accepted.stdout
        assert f"never, acknowledged: budget {namespace}/stiff: pdb-impossible" in accepted.stdout
    finally:
        path = f"/api/v1/namespaces/{namespace}/pods/bare"
        cluster.client.patch(path, {"metadata": {"finalizers": None}})


def test_a_webhook_that_only_a_pod_on_these_nodes_answers_for_is_a_blocker(cluster, space):
    name, namespace = space
    cluster.deployment(namespace, "guard", 1, **on(name))
    cluster.wait_ready(namespace, 1)
    service = {"metadata": {"name": "guard"}, "spec": {"selector": {"app": "guard"}, "ports": [{"port": 443}]}}
    cluster.request("POST", f"/api/v1/namespaces/{namespace}/services", service)
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "*"}
    webhook = {
        "name": "guard.nodepools.dev",
        "clientConfig": {"service": {"name": "guard", "namespace": namespace}},
        "rules": [rule],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "objectSelector": {"matchLabels": {"app": "guard"}},
    }
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    cluster.request("POST", path, {"metadata": {"name": namespace}, "webhooks": [webhook]})
    try:
        asked = ("preflight", "--selector", f"pool={name}", "--output", "json")
        found = _findings(run(cluster, *asked))[1]
        assert ("blocker", "webhook-backends", f"webhook {namespace}") in found
        surged = _findings(run(cluster, *asked, "--single-replicas", "surge"))[1]
        assert {one for one in surged if one[2].endswith((namespace, "guard"))} == {
            ("info", "surge", f"workload {namespace}/guard")
        }
    finally:
        cluster.request("DELETE", f"{path}/{namespace}")


def test_nodes_beside_them_are_nobodys_business(cluster, space):
    name, namespace = space
    cluster.nodes(f"{name}-beside", 1)
    cluster.deployment(namespace, "stiff", 1, **on(f"{name}-beside"))
    cluster.budget(namespace, "stiff", minAvailable=1)
    cluster.wait_ready(namespace, 1)
    done = run(cluster, "preflight", f"{name}-0", f"{name}-1", "--output", "json")
    document, found = _findings(done)
    assert done.returncode == 0, done.stdout
    assert (document["outcome"], document["nodes"], document["diagnosis"]) == ("ok", [f"{name}-0", f"{name}-1"], [])
    assert not {one for one in found if namespace in one[2]}


def test_another_run_and_its_missing_end_are_a_blocker(cluster, space):
    name, _ = space
    patch = {"metadata": {"labels": {"nodepools.dev/pool": name, "nodepools.dev/version": "v1"}}}
    cluster.client.patch(f"{NODES}/{name}-0", patch)
    with PoolRecord(cluster.client, name).hold():
        done = run(cluster, "preflight", "--pool", name, "--version", "v1", "--output", "json")
    assert done.returncode == 2, done.stderr
    assert [one["reason"] for one in json.loads(done.stdout)["diagnosis"]] == ["held"]


def test_usage_errors_are_exit_1(cluster):
    wrong = run(cluster, "preflight", "n", "--acknowledge", "explode/a/b")
    assert wrong.returncode == 1
    assert "drain.acknowledge: 'explode/a/b' is not" in wrong.stderr
    assert run(cluster, "preflight", "no-such-node").returncode == 1
