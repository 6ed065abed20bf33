"""Puts the story's workloads on a cluster and waits until they serve."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pulumi_nodepools.cluster.client import Client

MANIFEST = Path(__file__).with_name("workloads.yaml")
_PLURALS = {
    "Namespace": "/api/v1/namespaces",
    "Service": "/api/v1/namespaces/{}/services",
    "Pod": "/api/v1/namespaces/{}/pods",
    "PersistentVolume": "/api/v1/persistentvolumes",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "StorageClass": "/apis/storage.k8s.io/v1/storageclasses",
}
_SERVING = (
    ("/apis/apps/v1/deployments", "replicas"),
    ("/apis/apps/v1/statefulsets", "replicas"),
    ("/apis/apps/v1/daemonsets", "desiredNumberScheduled"),
)


def apply(client: Client, manifest: Path = MANIFEST) -> None:
    """Create every object of `manifest`; the cluster must not have them yet."""
    for document in yaml.safe_load_all(manifest.read_text()):
        path = _PLURALS[document["kind"]].format(document["metadata"].get("namespace", ""))
        _create(client, path, document)


def _create(client: Client, path: str, document: dict[str, Any]) -> None:
    """A new namespace has its default service account a moment later than itself; bare pods need it."""
    if document["kind"] == "Pod":
        account = f"/api/v1/namespaces/{document['metadata']['namespace']}/serviceaccounts"
        wait(lambda: [] if client.get(account)["items"] else [account], timeout=30)
    client.create(path, document)


def not_serving(client: Client) -> list[str]:
    """Workloads with fewer ready pods than they want, and budgets that are not satisfied, by name."""
    missing = []
    for path, wanted in _SERVING:
        for item in _items(client, path):
            status = item.get("status") or {}
            want = (item.get("spec") or {}).get(wanted, status.get(wanted, 0))
            have = status.get("numberReady" if "daemonsets" in path else "readyReplicas", 0)
            if have < want or status.get("observedGeneration") != item["metadata"]["generation"]:
                missing.append(f"{item['metadata']['name']} {have}/{want}")
    for item in _items(client, "/apis/policy/v1/poddisruptionbudgets"):
        status = item.get("status") or {}
        if status.get("currentHealthy", 0) < status.get("expectedPods", 1):
            missing.append(f"budget {item['metadata']['name']}")
    return missing


def wait_until_serving(client: Client, timeout: float = 120.0) -> None:
    """Return when everything serves; TimeoutError names what does not."""
    wait(lambda: not_serving(client), timeout)


def _items(client: Client, path: str) -> Iterable[dict[str, Any]]:
    for page in client.list_raw(path):
        yield from msgspec.json.decode(page)["items"]


def wait(missing: Callable[[], list[str]], timeout: float) -> None:
    """Return when nothing is missing any more; TimeoutError names it."""
    deadline = time.monotonic() + timeout
    while waiting := missing():
        if time.monotonic() > deadline:
            raise TimeoutError(f"still not there after {timeout:.0f} s: {', '.join(waiting)}")
        time.sleep(0.2)
