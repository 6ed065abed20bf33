"""The control plane is real where it matters: scheduling, evictions against budgets, rights, and a clean end."""

import json
import os
import signal
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.binaries import locate
from sandbox.control_plane import PARTS, ControlPlane
from sandbox.processes import start_time

pytestmark = pytest.mark.sandbox

PODS = "/api/v1/namespaces/default/pods"
START_LIMIT = 60.0  # about 5 s on an idle machine


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path_factory.mktemp("plane"), locate().paths)
    began = time.monotonic()
    assert plane.start()
    assert time.monotonic() - began < START_LIMIT
    yield plane
    plane.stop()


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds:.0f} s"
        time.sleep(0.1)


def create(plane: ControlPlane, path: str, body: dict[str, Any]) -> None:
    status, answer = plane.request("POST", path, body)
    assert status == 201, answer


def node(plane: ControlPlane, name: str) -> None:
    room = {"cpu": "8", "memory": "32Gi", "pods": "58"}
    body = {
        "metadata": {"name": name, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"allocatable": room, "capacity": room, "nodeInfo": {"kernelVersion": "3.10.0-957.el7.x86_64"}},
    }
    create(plane, "/api/v1/nodes", body)


def node_ready(plane: ControlPlane, name: str) -> bool:
    conditions = plane.request("GET", f"/api/v1/nodes/{name}")[1]["status"].get("conditions", [])
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def pod_template(app: str, **metadata: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": "example.com/main:1"}]
    return {"metadata": {"labels": {"app": app}, **metadata}, "spec": {"containers": containers}}


def pods(plane: ControlPlane, app: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = plane.request("GET", f"{PODS}?labelSelector=app%3D{app}")[1]["items"]
    return items


def ready_pods(plane: ControlPlane, app: str) -> int:
    return sum(
        any(item["type"] == "Ready" and item["status"] == "True" for item in pod["status"].get("conditions", []))
        and "deletionTimestamp" not in pod["metadata"]
        for pod in pods(plane, app)
    )


def deployment(plane: ControlPlane, app: str, replicas: int) -> None:
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": pod_template(app)}
    create(plane, "/apis/apps/v1/namespaces/default/deployments", {"metadata": {"name": app}, "spec": spec})
    eventually(lambda: ready_pods(plane, app) == replicas)


def evict(plane: ControlPlane, pod: str) -> int:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "default"}}
    return plane.request("POST", f"{PODS}/{pod}/eviction", body)[0]


def pids(plane: ControlPlane) -> dict[str, int]:
    files = (plane.root / "pids").glob("*.json")
    return {path.stem: json.loads(path.read_text())["pid"] for path in files}


def test_node_and_pods_become_ready_and_keep_what_the_fleet_wrote(plane: ControlPlane) -> None:
    node(plane, "ready-1")
    eventually(lambda: node_ready(plane, "ready-1"))
    info = plane.request("GET", "/api/v1/nodes/ready-1")[1]["status"]["nodeInfo"]
    assert info["kernelVersion"] == "3.10.0-957.el7.x86_64"
    deployment(plane, "ready", replicas=2)


def test_no_pod_is_forgotten_that_is_made_in_the_moment_of_its_node(plane: ControlPlane) -> None:
    """DaemonSets do that, and one such pod that never starts holds up a gate for minutes."""
    template = pod_template("early")
    template["spec"]["tolerations"] = [{"operator": "Exists"}]
    spec = {"selector": {"matchLabels": {"app": "early"}}, "template": template}
    create(plane, "/apis/apps/v1/namespaces/default/daemonsets", {"metadata": {"name": "early"}, "spec": spec})
    before = len(plane.request("GET", "/api/v1/nodes")[1]["items"])
    for number in range(40):
        node(plane, f"early-{number}")
    eventually(lambda: ready_pods(plane, "early") == before + 40)


def test_eviction_respects_a_budget_with_429_and_lets_go_when_there_is_room(plane: ControlPlane) -> None:
    node(plane, "evict-1")
    deployment(plane, "guarded", replicas=2)
    budget = {
        "metadata": {"name": "guarded"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}},
    }
    create(plane, "/apis/policy/v1/namespaces/default/poddisruptionbudgets", budget)
    path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/guarded"
    eventually(lambda: plane.request("GET", path)[1].get("status", {}).get("disruptionsAllowed") == 1)
    first, second = (pod["metadata"]["name"] for pod in pods(plane, "guarded"))
    assert evict(plane, first) == 201
    assert evict(plane, second) == 429
    eventually(lambda: ready_pods(plane, "guarded") == 2)
    eventually(lambda: evict(plane, second) == 201)


def test_stop_delay_is_kept_but_never_longer_than_the_grace_period(plane: ControlPlane) -> None:
    node(plane, "stop-1")
    for app, delay in (("slow", "4"), ("capped", "600")):
        template = pod_template(app, name=app, annotations={"sandbox.nodepools.dev/stop-delay": delay})
        template["spec"]["terminationGracePeriodSeconds"] = 6
        create(plane, PODS, template)
        eventually(lambda app=app: ready_pods(plane, app) == 1)
    began = time.monotonic()
    for app in ("slow", "capped"):
        plane.request("DELETE", f"{PODS}/{app}")
    eventually(lambda: not pods(plane, "slow"))
    slow = time.monotonic() - began
    eventually(lambda: not pods(plane, "capped"))
    assert 3.5 <= slow < time.monotonic() - began < 25


def test_job_pods_complete_except_those_whose_result_somebody_else_writes(plane: ControlPlane) -> None:
    node(plane, "job-1")
    for name, labels in (("plain", {}), ("watched", {"sandbox.nodepools.dev/ci": "run"})):
        template = pod_template(name)
        template["metadata"]["labels"] |= labels
        template["spec"]["restartPolicy"] = "Never"
        create(
            plane,
            "/apis/batch/v1/namespaces/default/jobs",
            {"metadata": {"name": name}, "spec": {"template": template}},
        )
    eventually(lambda: [pod["status"]["phase"] for pod in pods(plane, "plain")] == ["Succeeded"])
    assert [pod["status"]["phase"] for pod in pods(plane, "watched")] == ["Running"]


def test_evicted_job_pod_goes_although_the_job_controller_holds_a_finalizer(plane: ControlPlane) -> None:
    node(plane, "finalizer-1")
    template = pod_template("held")
    template["metadata"]["labels"]["sandbox.nodepools.dev/ci"] = "run"
    template["spec"]["restartPolicy"] = "Never"
    create(
        plane, "/apis/batch/v1/namespaces/default/jobs", {"metadata": {"name": "held"}, "spec": {"template": template}}
    )
    eventually(lambda: ready_pods(plane, "held") == 1)
    name = pods(plane, "held")[0]["metadata"]["name"]
    assert evict(plane, name) == 201
    eventually(lambda: name not in [pod["metadata"]["name"] for pod in pods(plane, "held")])


def test_dead_node_turns_not_ready(plane: ControlPlane) -> None:
    node(plane, "dead-1")
    eventually(lambda: node_ready(plane, "dead-1"))
    plane.request(
        "PATCH", "/api/v1/nodes/dead-1", {"metadata": {"annotations": {"sandbox.nodepools.dev/dead": "true"}}}
    )
    eventually(lambda: not node_ready(plane, "dead-1"))


def test_minted_user_has_no_rights_until_rbac_grants_them(plane: ControlPlane, tmp_path: Path) -> None:
    kubeconfig = plane.mint_kubeconfig(tmp_path / "limited", "limited")
    assert kubeconfig.stat().st_mode & 0o077 == 0
    assert as_user(kubeconfig, tmp_path, "/api/v1/nodes") == 403
    rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}
    create(plane, "/apis/rbac.authorization.k8s.io/v1/clusterroles", {"metadata": {"name": "limited"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "limited"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "limited"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}],
    }
    create(plane, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    eventually(lambda: as_user(kubeconfig, tmp_path, "/api/v1/nodes") == 200)
    assert as_user(kubeconfig, tmp_path, "/api/v1/pods") == 403


def as_user(kubeconfig: Path, folder: Path, path: str) -> int:
    import base64

    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    parts = {
        "ca": cluster["certificate-authority-data"],
        "crt": user["client-certificate-data"],
        "key": user["client-key-data"],
    }
    for name, data in parts.items():
        (folder / name).write_bytes(base64.b64decode(data))
    context = ssl.create_default_context(cafile=str(folder / "ca"))
    context.load_cert_chain(folder / "crt", folder / "key")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(cluster["server"] + path, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def test_api_servers_metrics_count_requests(plane: ControlPlane) -> None:
    status, text = plane.request("GET", "/metrics")
    assert status == 200
    assert "apiserver_request_total{" in text


def test_second_start_changes_nothing(plane: ControlPlane) -> None:
    before = pids(plane)
    assert plane.start() is False
    assert pids(plane) == before


def test_start_after_a_crash_recovers_and_stop_leaves_no_process(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path, locate().paths)
    try:
        plane.start()
        first = pids(plane)
        assert set(first) == set(PARTS)
        os.kill(first["etcd"], signal.SIGKILL)
        eventually(lambda: start_time(first["etcd"]) is None)
        assert not plane.running()
        assert plane.start()
        assert [name for name, pid in first.items() if start_time(pid) is not None] == []
        second = pids(plane)
    finally:
        assert plane.stop()
    assert [name for name, pid in second.items() if start_time(pid) is not None] == []
    assert plane.stop() is False
