"""What the drain tests share: a control plane with simulated nodes, short ways to put objects into it, and an audit.

The audit is a watch of its own: what happened is read from it, never from the drainer's own report.
"""

import json
import threading
import time
from contextlib import nullcontext
from itertools import count

from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.drainer import drain
from pulumi_nodepools.drain.settings import DrainSettings
from tests.apiserver.request_log import RequestLog

_NUMBERS = count(1)
NODES = "/api/v1/nodes"


class Cluster:
    """A control plane, seen by a test."""

    def __init__(self, plane):
        self.plane = plane
        self.access = Access(kind="kubeconfig", path=str(plane.kubeconfig))
        self.client = Client.connect(self.access)
        self.requests = RequestLog(plane.audit_log)

    def request(self, method, path, body=None, *, expect=(200, 201, 202)):
        status, answer = self.plane.request(method, path, body)
        assert status in expect, f"{method} {path}: {status} {answer}"
        return answer

    def namespace(self):
        name = f"case-{next(_NUMBERS)}"
        self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        self.wait(lambda: self.plane.request("GET", f"/api/v1/namespaces/{name}/serviceaccounts/default")[0] == 200)
        return name

    def nodes(self, pool, number, zones=("a", "b", "c"), **labels):
        """Add ready nodes labelled `pool`; pods are kept on them by a node selector."""
        names = [f"{pool}-{index}" for index in range(number)]
        for index, name in enumerate(names):
            self.request("POST", NODES, node(name, {"pool": pool, **labels}, zones[index % len(zones)]))
        self.wait(lambda: all(self.is_ready(name) for name in names))
        return names

    def is_ready(self, name):
        """Ready, and without the taint that its controller takes away a moment later."""
        node = self.request("GET", f"{NODES}/{name}")
        conditions, taints = node["status"].get("conditions") or [], node["spec"].get("taints") or []
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        return ready and all(taint["key"] != "node.kubernetes.io/not-ready" for taint in taints)

    def deployment(self, namespace, name, replicas, **spec):
        body = {"metadata": {"name": name}, "spec": workload(name, replicas, **spec)}
        self.request("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", body)

    def stateful_set(self, namespace, name, replicas, **spec):
        body = {"metadata": {"name": name}, "spec": workload(name, replicas, **spec) | {"serviceName": name}}
        self.request("POST", f"/apis/apps/v1/namespaces/{namespace}/statefulsets", body)

    def service(self, namespace, name):
        body = {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}}
        self.request("POST", f"/api/v1/namespaces/{namespace}/services", body)

    def budget(self, namespace, name, app=None, **spec):
        selector = {"matchLabels": {"app": app or name}}
        body = {"metadata": {"name": name}, "spec": {"selector": selector, **spec}}
        self.request("POST", f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets", body)

    def pods(self, namespace):
        return self.request("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]

    def ready(self, namespace):
        return [pod for pod in self.pods(namespace) if pod_ready(pod)]

    def wait_ready(self, namespace, number):
        self.wait(lambda: len(self.ready(namespace)) == number, what=f"{number} ready pods in {namespace}")

    def allowed(self, namespace, name):
        path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name}"
        return self.request("GET", path).get("status", {}).get("disruptionsAllowed")

    def wait(self, condition, *, seconds=40, what="the condition"):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} was not met within {seconds} s"
            threading.Event().wait(0.1)

    def drain(self, pool, *, guard=None, listen=None, owner=None, client=None, **more):
        """Drain the nodes of a pool; those that `passed` names are the drain's own, the rest are settings."""
        passed = {key: more.pop(key) for key in ("stop", "instances", "leave", "command", "behind") if key in more}
        chosen = DrainSettings(**{"batch_size": "100%", "node_timeout": 60, "total_timeout": 90} | more)
        with self.requests.forcing() if chosen.on_timeout == "force" else nullcontext():
            return drain(
                client or self.client,
                nodes=lambda view: view.labels.get("pool") == pool,
                settings=chosen,
                owner=owner or f"test/{pool}",
                before_batch=guard or (lambda world: None),
                listen=listen or (lambda progress: None),
                **passed,
            )


class Audit:
    """Every change of pods in one namespace, in order, as an independent watcher sees it."""

    def __init__(self, cluster, namespace):
        self.lines = []
        path = f"/api/v1/namespaces/{namespace}/pods"
        version = cluster.request("GET", path)["metadata"]["resourceVersion"]
        self._known = {pod["metadata"]["uid"]: pod for pod in cluster.pods(namespace)}
        self._end = None
        client = Client.connect(cluster.access)  # its own: a drain's requests are counted
        self._thread = threading.Thread(target=self._run, args=(client, path, version), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        if self._end:
            self._end()
        self._thread.join(10)

    def _run(self, client, path, version):
        def opened(end):
            self._end = end

        try:
            for line in client.watch_lines(path, resource_version=version, timeout_seconds=200, opened=opened):
                event = json.loads(line)
                if event["type"] != "BOOKMARK":
                    self.lines.append(event)
        except Exception as error:  # noqa: BLE001 -- the stream is cut on purpose at the end
            self.ended = error

    def least_ready(self):
        """The smallest number of ready, not terminating pods at any moment."""
        known = dict(self._known)
        least = sum(pod_ready(pod) for pod in known.values())
        for event in self.lines:
            uid = event["object"]["metadata"]["uid"]
            if event["type"] == "DELETED":
                known.pop(uid, None)
            else:
                known[uid] = event["object"]
            least = min(least, sum(pod_ready(pod) for pod in known.values()))
        return least


def pod_ready(pod):
    conditions = pod.get("status", {}).get("conditions") or []
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def node(name, labels, zone):
    return {
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone, **labels},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "status": {"allocatable": {"cpu": "16", "memory": "64Gi", "pods": "110"}},
    }


def pod_spec(**spec):
    container = {"name": "main", "image": "registry.k8s.io/pause:3.9"}
    return {"terminationGracePeriodSeconds": 1, "containers": [container], **spec}


def workload(name, replicas, *, annotations=None, labels=None, **spec):
    template = {
        "metadata": {"labels": {"app": name, **(labels or {})}, "annotations": annotations or {}},
        "spec": pod_spec(**spec),
    }
    return {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}


def on(*pools):
    """A node affinity for any of these pools."""
    term = {"matchExpressions": [{"key": "pool", "operator": "In", "values": list(pools)}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": required}}
