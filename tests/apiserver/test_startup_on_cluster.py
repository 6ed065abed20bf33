"""The startup validator as a process with its ServiceAccount's own token and rights, on a real API server.

A pod of its DaemonSet would run the same command; what the simulated kubelet cannot do is start it.
"""

import base64
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from pulumi_nodepools.names import STARTUP_TAINT

pytestmark = pytest.mark.apiserver

NAME = "nodepools-worker-startup"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
REQUIREMENTS = {"worker-v2": {"kernelArguments": ["cgroup.memory=nokmem"], "minimumKernel": "6.1.0"}}
TAINT = {"key": STARTUP_TAINT, "effect": "NoSchedule"}
OTHER = {"key": "example.com/other", "effect": "NoSchedule"}


@pytest.fixture(scope="module")
def account(cluster, tmp_path_factory):
    """A folder as kubelet mounts it, for a ServiceAccount with the component's rights."""
    accounts = "/api/v1/namespaces/kube-system/serviceaccounts"
    cluster.request("POST", accounts, {"metadata": {"name": NAME}})
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "patch"]}]
    cluster.request("POST", f"{RBAC}/clusterroles", {"metadata": {"name": NAME}, "rules": rules})
    binding = {
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": "kube-system"}],
    }
    cluster.request("POST", f"{RBAC}/clusterrolebindings", binding)
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    token = cluster.request("POST", f"{accounts}/{NAME}/token", asked)["status"]["token"]
    folder = tmp_path_factory.mktemp("account")
    (folder / "token").write_text(token)
    root = cluster.request("GET", "/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt")
    (folder / "ca.crt").write_text(root["data"]["ca.crt"])
    return folder


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "sys/kernel/osrelease").write_text("6.8.0-45\n")
    (tmp_path / "cmdline").write_text("ro quiet\n")
    (tmp_path / "requirements.json").write_text(json.dumps(REQUIREMENTS))
    return tmp_path


@contextmanager
def running(cluster, account, proc, node):
    server = urlsplit(cluster.plane.endpoint)
    environment = {
        "PATH": os.environ["PATH"],
        "KUBERNETES_SERVICE_HOST": server.hostname,
        "KUBERNETES_SERVICE_PORT": str(server.port),
        "NODE_NAME": node,
    }
    command = [sys.executable, "-m", "pulumi_nodepools.in_cluster.startup_validator", "--account", account]
    with (proc / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--requirements", proc / "requirements.json", "--proc", proc],
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(10)


def register(cluster, name, version="v2"):
    labels = {"nodepools.dev/pool": "worker", "nodepools.dev/version": version}
    body = {"metadata": {"name": name, "labels": labels}, "spec": {"taints": [OTHER, TAINT]}}
    cluster.request("POST", "/api/v1/nodes", body)


def seen(cluster, name):
    node = cluster.request("GET", f"/api/v1/nodes/{name}")
    keys = [taint["key"] for taint in node["spec"].get("taints") or []]
    meta = node["metadata"]
    return (
        keys,
        meta["labels"].get("nodepools.dev/validated"),
        (meta.get("annotations") or {}).get("nodepools.dev/refused"),
    )


def test_a_node_is_refused_until_its_kernel_has_the_argument_and_then_proved(cluster, account, proc):
    register(cluster, "startup-1")
    with running(cluster, account, proc, "startup-1"):
        why = "kernel argument cgroup.memory=nokmem is not in /proc/cmdline"
        cluster.wait(lambda: seen(cluster, "startup-1")[2] == why)
        keys, proof, _ = seen(cluster, "startup-1")
        assert (STARTUP_TAINT in keys, proof) == (True, None)
        (proc / "cmdline").write_text("ro quiet cgroup.memory=nokmem\n")
        cluster.wait(lambda: seen(cluster, "startup-1")[1] == "worker-v2")
    keys, _, why = seen(cluster, "startup-1")
    assert STARTUP_TAINT not in keys
    assert OTHER["key"] in keys, "taints of others stay"
    assert why is None


def test_a_node_of_an_unknown_version_keeps_its_taint(cluster, account, proc):
    (proc / "cmdline").write_text("cgroup.memory=nokmem\n")
    register(cluster, "startup-2", "v3")
    with running(cluster, account, proc, "startup-2") as process:
        cluster.wait(lambda: (seen(cluster, "startup-2")[2] or "").startswith("nothing is known of worker-v3"))
        assert STARTUP_TAINT in seen(cluster, "startup-2")[0]
        assert process.poll() is None


def test_its_token_opens_nothing_but_nodes(cluster, account):
    payload = (account / "token").read_text().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    user = claims["sub"]
    for resource, verb, allowed in (("nodes", "patch", True), ("nodes", "delete", False), ("secrets", "get", False)):
        review = {"spec": {"user": user, "resourceAttributes": {"resource": resource, "verb": verb}}}
        answer = cluster.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        assert answer["status"]["allowed"] is allowed, (resource, verb)
