"""The kubernetes stand-in on a real API server: names, server-side apply, drift, waits, deletion."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_case import until
from plugin_case import Engine

from sandbox.binaries import locate
from sandbox.control_plane import ControlPlane
from sandbox.plugins.host import PluginError
from sandbox.plugins.kubernetes import Kubernetes
from sandbox.plugins.values import UNKNOWN

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
BINDING = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
JOB = "kubernetes:batch/v1:Job"
POD = {"containers": [{"name": "main", "image": "example.com/main:1"}]}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path_factory.mktemp("plane"), locate().paths)
    plane.start()
    room = {"cpu": "8", "memory": "32Gi", "pods": "58"}
    node = {
        "metadata": {"name": "node-1", "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"allocatable": room, "capacity": room},
    }
    assert plane.request("POST", "/api/v1/nodes", node)[0] == 201
    yield plane
    plane.stop()


@pytest.fixture
def engine(plane: ControlPlane) -> Engine:
    return Engine(Kubernetes(), kubeconfig=str(plane.kubeconfig))


def config_map(**changes: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}, **changes}


def deployment(replicas: int, **metadata: Any) -> dict[str, Any]:
    labels = {"app": str(metadata.get("name", "web"))}
    template = {"metadata": {"labels": labels}, "spec": POD}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": "default", **metadata},
        "spec": spec,
    }


def live(plane: ControlPlane, name: str) -> Any:
    return plane.request("GET", f"/api/v1/namespaces/default/configmaps/{name}")[1]


def test_names_are_generated_once_and_unknown_ones_left_alone(tmp_path: Path):
    engine = Engine(Kubernetes(), kubeconfig=str(tmp_path / "none"))
    inputs, _ = engine.check(CONFIG_MAP, "settings", config_map())
    assert inputs["metadata"]["name"] == "settings-0123456"
    before = {**inputs, "metadata": {**inputs["metadata"], "name": "settings-fedcba9"}}
    assert engine.check(CONFIG_MAP, "settings", config_map(), before)[0]["metadata"]["name"] == "settings-fedcba9"
    given, _ = engine.check(CONFIG_MAP, "settings", config_map(metadata={"name": UNKNOWN}))
    assert given["metadata"]["name"] is UNKNOWN
    assert list(engine.check(CONFIG_MAP, "settings", {"kind": "ConfigMap"})[1]) == ["apiVersion"]


def test_preview_needs_no_cluster(tmp_path: Path):
    engine = Engine(Kubernetes(), kubeconfig=str(tmp_path / "none"))
    assert engine.preview(CONFIG_MAP, "settings", config_map())["data"] == {"a": "1"}
    with pytest.raises(PluginError, match="unable to load Kubernetes client configuration"):
        engine.create(CONFIG_MAP, "settings", config_map())


def test_patches_and_charts_are_refused():
    engine = Engine(Kubernetes(), kubeconfig="{}")
    for token in ("kubernetes:helm.sh/v3:Release", "kubernetes:apps/v1:DeploymentPatch"):
        with pytest.raises(PluginError, match="only single objects"):
            engine.plugin.kind(token)


@pytest.mark.sandbox
def test_object_is_created_updated_and_deleted_with_a_field_manager(plane, engine):
    made = engine.create(CONFIG_MAP, "settings", config_map(data={"a": "1", "b": "2"}))
    assert made.id == f"default/{made.state['metadata']['name']}"
    name = made.id.partition("/")[2]
    managed = live(plane, name)["metadata"]["managedFields"]
    assert [(each["manager"], each["operation"]) for each in managed] == [("pulumi-kubernetes", "Apply")]
    assert made.diff(config_map(data={"a": "1", "b": "2"})) == ([], [])
    assert made.diff(config_map()) == (["data"], [])
    made.update(config_map())
    assert live(plane, name)["data"] == {"a": "1"}
    made.delete()
    assert not made.refresh()
    made.delete()  # again: nothing to do


@pytest.mark.sandbox
def test_existing_object_is_not_taken_over(engine):
    engine.create(CONFIG_MAP, "one", config_map(metadata={"name": "taken"}))
    with pytest.raises(PluginError, match='"ConfigMap taken" already exists'):
        engine.create(CONFIG_MAP, "two", config_map(metadata={"name": "taken"}))


@pytest.mark.sandbox
def test_misspelt_field_is_refused_by_the_server(engine):
    with pytest.raises(PluginError, match=r"server-side apply of ConfigMap .*dta"):
        engine.create(CONFIG_MAP, "settings", {**config_map(), "dta": {}})


@pytest.mark.sandbox
def test_refresh_shows_a_change_by_hand(plane, engine):
    made = engine.create(CONFIG_MAP, "drift", config_map())
    name = made.id.partition("/")[2]
    plane.request("PUT", f"/api/v1/namespaces/default/configmaps/{name}", {**live(plane, name), "data": {"a": "9"}})
    inputs = dict(made.inputs)
    assert made.refresh()
    assert made.inputs["data"] == {"a": "9"}
    assert made.diff(inputs) == (["data"], [])
    made.update(inputs)
    assert live(plane, name)["data"] == {"a": "1"}


@pytest.mark.sandbox
def test_role_reference_and_name_replace(engine):
    def binding(role: str, name: str = "drainer") -> dict[str, Any]:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding"}
        return {**kind, "metadata": {"name": name}, "roleRef": reference}

    made = engine.create(BINDING, "drainer", binding("view"))
    assert made.id == "drainer"
    assert made.diff(binding("edit")) == (["roleRef"], ["roleRef"])
    assert made.diff(binding("view", name="other")) == (["metadata"], ["metadata"])


@pytest.mark.sandbox
def test_deployment_is_waited_for(engine):
    made = engine.create(DEPLOYMENT, "web", deployment(2, name="web"))
    assert made.state["status"]["availableReplicas"] == 2
    made.delete()
    skipped = {"name": "slow", "annotations": {"pulumi.com/skipAwait": "true"}}
    made = engine.create(DEPLOYMENT, "slow", deployment(1, **skipped))
    assert not made.state.get("status", {}).get("availableReplicas")


@pytest.mark.sandbox
def test_job_is_waited_for_and_its_failure_told(plane, engine):
    def job(name: str) -> dict[str, Any]:
        labels = {"sandbox.nodepools.dev/ci": "true"}  # kwok leaves its result to us
        template = {"metadata": {"labels": labels}, "spec": {**POD, "restartPolicy": "Never"}}
        metadata = {"name": name, "namespace": "default"}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            "spec": {"template": template, "backoffLimit": 0},
        }

    def fail(name: str) -> bool:
        pods = "/api/v1/namespaces/default/pods"
        for pod in plane.request("GET", f"{pods}?labelSelector=job-name={name}")[1]["items"]:
            failed = {**pod, "status": {**pod["status"], "phase": "Failed"}}
            if pod["status"]["phase"] == "Running":
                return bool(plane.request("PUT", f"{pods}/{pod['metadata']['name']}/status", failed)[0] == 200)
        return False

    thread = threading.Thread(target=until, args=(lambda: fail("broken"),))
    thread.start()
    with pytest.raises(PluginError, match="Job default/broken failed") as caught:
        engine.create(JOB, "broken", job("broken"))
    thread.join()
    assert caught.value.partial is not None
    assert caught.value.partial[0] == "default/broken"


@pytest.mark.sandbox
def test_missing_right_is_told(plane, tmp_path):
    weak = plane.mint_kubeconfig(tmp_path / "weak", "nobody")
    with pytest.raises(PluginError, match='User "nobody" cannot patch resource "configmaps"'):
        Engine(Kubernetes(), kubeconfig=str(weak)).create(CONFIG_MAP, "settings", config_map(metadata={"name": "x"}))
