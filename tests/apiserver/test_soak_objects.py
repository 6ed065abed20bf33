"""What SoakTest and KernelWatch register is accepted by a real API server, and runs as it should."""

import pytest

from pulumi_nodepools.hooks.provider import plain
from pulumi_nodepools.names import SOAK_NAMESPACE
from tests.components.test_soak_test import build

pytestmark = pytest.mark.apiserver

PLURALS = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ConfigMap": "configmaps",
    "CronJob": "cronjobs",
    "DaemonSet": "daemonsets",
    "Deployment": "deployments",
    "Namespace": "namespaces",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ServiceAccount": "serviceaccounts",
}
ORDER = ("Namespace", "ServiceAccount", "ConfigMap")


@pytest.fixture(scope="module")
def made(cluster):
    """Everything, created with strict validation: a misspelt field is an error."""
    # Numbers come as floats over the engine's wire.
    recorded = [plain(one.inputs) for one in build().registered if one.type.startswith("kubernetes:")]
    recorded.sort(key=lambda body: ORDER.index(body["kind"]) if body["kind"] in ORDER else len(ORDER))
    for body in recorded:
        cluster.request("POST", _path(body) + "?fieldValidation=Strict", body)
    return recorded


def _path(body):
    version = body["apiVersion"]
    root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
    space = body["metadata"].get("namespace")
    return f"{root}/namespaces/{space}/{PLURALS[body['kind']]}" if space else f"{root}/{PLURALS[body['kind']]}"


def test_every_object_is_taken_with_strict_validation(made):
    kinds = {body["kind"] for body in made}
    assert kinds == set(PLURALS)


def test_a_run_is_a_pod_that_only_the_canary_takes(cluster, made):
    (cron,) = [body for body in made if body["kind"] == "CronJob" and body["metadata"]["name"].endswith("-canary")]
    job = {"metadata": {"name": "now"}, "spec": cron["spec"]["jobTemplate"]["spec"]}
    cluster.nodes("elsewhere", 1)
    cluster.request("POST", f"/apis/batch/v1/namespaces/{SOAK_NAMESPACE}/jobs", job)

    def pods():
        path = f"/api/v1/namespaces/{SOAK_NAMESPACE}/pods?labelSelector=nodepools.dev/soak%3Dcanary"
        return cluster.request("GET", path)["items"]

    cluster.wait(lambda: pods() and pods()[0]["status"].get("conditions"), what="a pod that cannot be scheduled")
    assert not pods()[0]["spec"].get("nodeName")
    labels = {"nodepools.dev/pool": "worker", "nodepools.dev/version": "7.7.1908-canary"}
    (canary,) = cluster.nodes("canary", 1, **labels)
    cluster.wait(lambda: pods()[0]["spec"].get("nodeName") == canary, what="the pod on the canary")
