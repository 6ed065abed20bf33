"""What the soak tests share: nodes whose kubelet's log endpoint is ours, pods on them, Events."""

import time

import pytest

from sandbox.certificates import Authority
from sandbox.kubelet_logs import KubeletLogs
from tests.apiserver.drain_case import NODES, node, pod_spec


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
