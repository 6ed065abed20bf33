"""The stage of the drain benchmark: a real control plane, pools of simulated nodes, and the workloads that move.

The workloads are the same all the time. Each race empties the pool that they are on, and the next pool is there before.
"""

import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sandbox.control_plane import ControlPlane

NODES = "/api/v1/nodes"
SPACE = "bench"
REPLICAS = 10
_FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
_BUDGETS = f"/apis/policy/v1/namespaces/{SPACE}/poddisruptionbudgets"
_DEPLOYMENTS = f"/apis/apps/v1/namespaces/{SPACE}/deployments"
_DISPATCHED = re.compile(
    r'^apiserver_flowcontrol_dispatched_requests_total\{flow_schema="bench-(.*?)".*\} (\S+)$', re.M
)
_PATIENCE = 300.0


class Stage:
    """The cluster of one benchmark."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.request("POST", "/api/v1/namespaces", {"metadata": {"name": SPACE}})
        self.wait(lambda: self._exists(f"/api/v1/namespaces/{SPACE}/serviceaccounts/default"), "the namespace")

    def request(self, method: str, path: str, body: object = None) -> Any:
        status, answer = self.plane.request(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer

    def user(self, name: str) -> Path:
        """A kubeconfig for an administrator whose requests the server counts apart, under an ordinary priority."""
        path = self.plane.mint_kubeconfig(self.plane.root / f"kubeconfig-{name}", name)
        subject = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
        role = {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"}
        self.request("POST", _BINDINGS, {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})
        everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
        rule = {
            "subjects": [{"kind": "User", "user": {"name": name}}],
            "resourceRules": [everything],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }
        spec = {"matchingPrecedence": 100, "priorityLevelConfiguration": {"name": "global-default"}, "rules": [rule]}
        self.request("POST", _FLOW, {"metadata": {"name": f"bench-{name}"}, "spec": spec})
        return path

    def requests(self, user: str) -> int:
        """How many requests of a user the API server has served, by its own metrics."""
        text = self.request("GET", "/metrics")
        return round(sum(float(number) for name, number in _DISPATCHED.findall(text) if name == user))

    def pool(self, name: str, nodes: int, group: str = "all") -> list[str]:
        """Add ready nodes; `group` is what workloads may ask for."""
        names = [f"{name}-{index}" for index in range(nodes)]
        self._each(lambda node: self.request("POST", NODES, _node(node, name, group)), names)
        self.wait(lambda: len(self._ready(f"{NODES}?labelSelector=pool%3D{name}")) == nodes, f"nodes of {name}")
        return names

    def remove(self, nodes: Iterable[str]) -> None:
        """Delete nodes."""
        self._each(lambda node: self.request("DELETE", f"{NODES}/{node}"), nodes)

    def fill(self, pods: int) -> None:
        """Deployments without budgets and without a pool of their own."""
        names = [f"app-{index}" for index in range(pods // REPLICAS)]
        self._each(lambda name: self.deployment(name, REPLICAS), names)
        self.wait_ready(pods)

    def deployment(self, name: str, replicas: int, group: str = "all") -> None:
        """One workload on nodes of a group."""
        containers = [{"name": "main", "image": "example.com/app:1"}]
        spec = {"containers": containers, "nodeSelector": {"group": group}}
        template = {"metadata": {"labels": {"app": name}}, "spec": spec}
        body = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
        self.request("POST", _DEPLOYMENTS, {"metadata": {"name": name}, "spec": body})

    def budget(self, name: str, least: int) -> None:
        """Let all but `least` pods of a workload go."""
        path, spec = f"{_BUDGETS}/{name}", {"minAvailable": least, "selector": {"matchLabels": {"app": name}}}
        if self._exists(path):
            self.request("PATCH", path, {"spec": spec})
        else:
            self.request("POST", _BUDGETS, {"metadata": {"name": name}, "spec": spec})
            self.wait(lambda: self.request("GET", path).get("status", {}).get("expectedPods") == 1, f"budget {name}")

    def wait_ready(self, pods: int) -> None:
        """Until so many pods are ready and no other is there."""
        path = f"/api/v1/namespaces/{SPACE}/pods"
        self.wait(lambda: len(self._ready(path)) == len(self.pods()) == pods, f"{pods} ready pods")

    def pods(self) -> list[dict[str, Any]]:
        """All pods of the benchmark."""
        found: list[dict[str, Any]] = self.request("GET", f"/api/v1/namespaces/{SPACE}/pods")["items"]
        return found

    def cordon(self, nodes: Iterable[str], *, closed: bool = True) -> None:
        """Make nodes unschedulable, or schedulable again."""
        self._each(lambda node: self.request("PATCH", f"{NODES}/{node}", {"spec": {"unschedulable": closed}}), nodes)

    def empty(self) -> None:
        """Take all workloads away."""
        self.request("DELETE", _DEPLOYMENTS)
        self.wait(lambda: not self.pods(), "no pods")

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Until it holds; an error after five minutes."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what}: not there within {_PATIENCE:.0f} s")
            time.sleep(0.5)

    def _ready(self, path: str) -> list[dict[str, Any]]:
        found = self.request("GET", path)["items"]
        return [item for item in found if _is_ready(item) and "deletionTimestamp" not in item["metadata"]]

    def _exists(self, path: str) -> bool:
        return self.plane.request("GET", path)[0] == 200

    def _each(self, act: Callable[[str], Any], names: Iterable[str]) -> None:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(act, names))


def _is_ready(item: dict[str, Any]) -> bool:
    conditions = item.get("status", {}).get("conditions") or []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def _node(name: str, pool: str, group: str) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": name, "pool": pool, "group": group}
    annotations = {"kwok.x-k8s.io/node": "fake"}
    status = {"allocatable": {"cpu": "16", "memory": "64Gi", "pods": "110"}}
    return {"metadata": {"name": name, "labels": labels, "annotations": annotations}, "status": status}
