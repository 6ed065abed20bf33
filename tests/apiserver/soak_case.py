"""What the soak tests share: nodes whose kubelet's log endpoint is ours, pods on them, Events."""

import shutil
import time
from itertools import count

import pytest

from pulumi_nodepools.collector.collect import Collector
from pulumi_nodepools.collector.rights import CLUSTER_RULES, NAMESPACE_RULES
from pulumi_nodepools.collector.settings import Settings
from pulumi_nodepools.in_cluster.api import Api
from pulumi_nodepools.names import KERNEL_CONDITION, POOL_LABEL, SOAK_LABEL, VERSION_LABEL, evidence_name
from pulumi_nodepools.soak.document import read
from pulumi_nodepools.soak.evidence import Subject
from pulumi_nodepools.soak.kmem import KMEM
from sandbox.certificates import Authority
from sandbox.kubelet_logs import KubeletLogs
from tests.apiserver.drain_case import NODES, node, pod_spec

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def kubelet(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("kubelet"))
    authority.create()
    serving = KubeletLogs(authority.issue("kubelet", "kubelet")).start()
    yield serving
    serving.stop()


def add_node(cluster, kubelet, name, **labels):
    """A ready node whose pods' logs come from `kubelet`."""
    body = node(name, labels, "a")
    body["status"] |= kubelet.node_status
    made = cluster.request("POST", NODES, body)
    cluster.wait(lambda: cluster.is_ready(name))
    return made


def add_pod(cluster, namespace, name, on, *, labels=None):
    """A running pod without a controller on a node."""
    body = {"metadata": {"name": name, "labels": labels or {}}, "spec": pod_spec(nodeName=on)}
    path = f"/api/v1/namespaces/{namespace}/pods"
    made = cluster.request("POST", path, body)
    cluster.wait(lambda: cluster.request("GET", f"{path}/{name}")["status"]["phase"] == "Running")
    return made


def add_node_event(cluster, node_name, message, *, component="kernel-monitor", at=None):
    """An Event about a node, as a node's watcher writes it."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at or time.time()))
    body = {
        "metadata": {"generateName": f"{node_name}.", "namespace": "default"},
        "involvedObject": {"kind": "Node", "name": node_name, "uid": node_name},
        "reason": "KernelSignature",
        "message": message,
        "source": {"component": component, "host": node_name},
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
        "type": "Warning",
    }
    return cluster.request("POST", "/api/v1/namespaces/default/events", body)


class FakeClock:
    """Two clocks that go when told; `wall` begins at the real time, because logs and Events bear real stamps."""

    def __init__(self):
        self._wall = time.time()
        self._steady = 100.0

    def wall(self):
        return self._wall

    def steady(self):
        return self._steady

    def go(self, seconds):
        self._wall += seconds
        self._steady += seconds

    def jump(self, seconds):
        self._wall += seconds


class Soak:
    """A namespace with a collector's service account, and a canary whose kubelet is ours."""

    def __init__(self, cluster, kubelet, folder, number):
        self.cluster, self.kubelet = cluster, kubelet
        self.pool, self.version = f"pool{number}", "v2.0.0"
        self.namespace = cluster.namespace()
        self.account = self._account(folder)
        subject = Subject(self.pool, self.version, "ami-0bbbbbbbbbbb77190", "sha256:1")
        nodes = f"{POOL_LABEL}={self.pool},{VERSION_LABEL}={self.version}-canary"
        self.settings = Settings(subject, nodes, self.namespace, (KMEM,), 0.2)
        self.clock = FakeClock()
        self.said = []
        self.node = self.add_canary(f"canary-{number}")

    def _account(self, folder):
        space, name = self.namespace, "collector"
        request = self.cluster.request
        request("POST", f"/api/v1/namespaces/{space}/serviceaccounts", {"metadata": {"name": name}})
        subject = {"kind": "ServiceAccount", "name": name, "namespace": space}
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        for path, kind, rules in (
            (rbac, "ClusterRole", CLUSTER_RULES),
            (f"{rbac}/namespaces/{space}", "Role", NAMESPACE_RULES),
        ):
            plural, metadata = kind.lower() + "s", {"name": f"{space}-{name}"}
            request("POST", f"{path}/{plural}", {"metadata": metadata, "rules": list(rules)})
            reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": metadata["name"]}
            binding = {"metadata": metadata, "roleRef": reference, "subjects": [subject]}
            request("POST", f"{path}/{kind.lower()}bindings", binding)
        path = f"/api/v1/namespaces/{space}/serviceaccounts/{name}/token"
        token = request("POST", path, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
        (folder / "token").write_text(token)
        shutil.copy(self.cluster.plane.root / "control-plane" / "pki" / "ca.crt", folder / "ca.crt")
        return folder

    @property
    def env(self):
        """What the kubelet tells a pod about the API server."""
        host, _, port = self.cluster.plane.endpoint.removeprefix("https://").partition(":")
        return {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}

    def add_canary(self, name, *, watched=True):
        labels = {POOL_LABEL: self.pool, VERSION_LABEL: f"{self.version}-canary"}
        made = add_node(self.cluster, self.kubelet, name, **labels)
        if watched:
            self.kernel_condition(name, "False", "no signature")
        return made["metadata"]["name"]

    def kernel_condition(self, name, status, message):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        condition = {
            "type": KERNEL_CONDITION,
            "status": status,
            "reason": "KernelSignature",
            "message": message,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        self.cluster.client.patch(
            f"{NODES}/{name}/status",
            {"status": {"conditions": [condition]}},
            "application/strategic-merge-patch+json",
        )

    def collector(self):
        """The collector in this process, with the test's clock."""
        return Collector(Api(self.account), self.settings, self.clock, self.said.append)

    def look(self, collector, seconds=15.0):
        """One look after some time."""
        self.clock.go(seconds)
        return collector.step()

    def pod(self, name, group="canary"):
        labels = {SOAK_LABEL: group, POOL_LABEL: self.pool, VERSION_LABEL: self.version}
        return add_pod(self.cluster, self.namespace, name, self.node, labels=labels)

    def log(self, pod, *lines):
        self.kubelet.write(self.namespace, pod, "main", *lines, at=time.time())

    def end(self, pod, *, failed=False, message=""):
        """Let the pod's container end."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ended = {"exitCode": int(failed), "finishedAt": now, "message": message}
        container = {"name": "main", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
        status = {
            "phase": "Failed" if failed else "Succeeded",
            "containerStatuses": [{**container, "state": {"terminated": ended}}],
        }
        self.cluster.client.patch(f"/api/v1/namespaces/{self.namespace}/pods/{pod}/status", {"status": status})

    def stored(self):
        """The evidence in the cluster, None if there is none yet."""
        path = f"/api/v1/namespaces/{self.namespace}/configmaps/{evidence_name(self.pool, self.version)}"
        status, body = self.cluster.plane.request("GET", path)
        return read(body["data"]["evidence.json"]) if status == 200 else None


@pytest.fixture
def soak(cluster, kubelet, tmp_path, monkeypatch):
    made = Soak(cluster, kubelet, tmp_path, next(_NUMBERS))
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    return made
