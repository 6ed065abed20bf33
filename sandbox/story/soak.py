"""What nodes do during a soak and simulated ones cannot: run the collector, watch the kernel log, end the runs.

The collector is the very program that its pod would run: the files of its ConfigMap, as the pod's service account, in a
process on a Python without packages. A run ends as the node's real command line says (see `ci`); where it fails, the
kernel's line appears as node-problem-detector would report it. Runs are started from the CronJobs every few seconds,
because cron knows no less than a minute: the rules of the soak stay as they are written.
"""

import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.errors import ApiError, NodePoolsError
from pulumi_nodepools.names import KERNEL_CONDITION, POOL_LABEL, SOAK_LABEL, SOAK_NAMESPACE
from sandbox.certificates import Authority
from sandbox.kubelet_logs import KubeletLogs
from sandbox.signals import undisturbed
from sandbox.stack import Sandbox
from sandbox.story import ci

PODS = f"/api/v1/namespaces/{SOAK_NAMESPACE}/pods"
JOBS = f"/apis/batch/v1/namespaces/{SOAK_NAMESPACE}"
KERNEL_LINE = "kmem_cache_create(nf_conntrack_ffff8d4c883c0000) failed with error -12"
_COLLECTOR = "app.kubernetes.io/name=nodepools-collector"


class SoakNodes:
    """Plays for all nodes of the sandbox until `stop`. `folder` keeps what is mounted."""

    def __init__(self, client: Client, endpoint: str, authority: Path, instances: Path, folder: Path) -> None:
        self._client, self._endpoint, self._authority = client, endpoint, authority
        self._instances, self._folder = instances, folder
        own = Authority(folder / "kubelet")
        own.create()
        self._logs = KubeletLogs(own.issue("kubelet", "kubelet"))
        self._random = random.Random(20200428)
        self._collectors: dict[str, subprocess.Popen[bytes]] = {}
        self._ended: set[str] = set()
        self._found: dict[str, str] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self.troubles: list[str] = []

    @classmethod
    def of(cls, sandbox: Sandbox, client: Client, folder: Path) -> "SoakNodes":
        """The nodes of a sandbox that runs."""
        authority = sandbox.root / "control-plane" / "pki" / "ca.crt"
        return cls(client, sandbox.control_plane.endpoint, authority, sandbox.root / "fleet" / "instances.json", folder)

    def __enter__(self) -> "SoakNodes":
        self._logs.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with undisturbed():
            self._stopped.set()
            self._thread.join()
            self._logs.stop()
            for process in self._collectors.values():
                process.kill()
                process.wait()

    def run_now(self) -> None:
        """Start a run from each CronJob, as `kubectl create job --from` does."""
        for cron in self._client.get(f"{JOBS}/cronjobs")["items"]:
            template = cron["spec"]["jobTemplate"]
            name, uid = cron["metadata"]["name"], cron["metadata"]["uid"]
            owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": name, "uid": uid}
            labels = template["metadata"]["labels"]
            metadata = {"generateName": f"{name}-", "labels": labels, "ownerReferences": [owner]}
            self._client.create(f"{JOBS}/jobs", {"metadata": metadata, "spec": template["spec"]})

    def _play(self) -> None:
        while not self._stopped.wait(0.5):
            try:
                self._nodes()
                self._collect()
                self._end_runs()
            except (NodePoolsError, OSError) as error:
                self.troubles.append(str(error))

    def _nodes(self) -> None:
        """Each node's kubelet and kernel watcher, as far as its pod is there."""
        watched = self._client.get(PODS, labelSelector="app.kubernetes.io/name=nodepools-kernel-watch")["items"]
        names = {pod["spec"].get("nodeName") for pod in watched if pod["status"].get("phase") == "Running"}
        for node in self._client.get("/api/v1/nodes", labelSelector=POOL_LABEL)["items"]:
            name = node["metadata"]["name"]
            own = self._logs.node_status
            status: dict[str, Any] = {
                "addresses": [{"type": "ExternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": own["daemonEndpoints"],
            }
            if name in names:
                status["conditions"] = [_condition(self._found.get(name, ""))]
            if not _has(node, status):
                self._client.patch(
                    f"/api/v1/nodes/{name}/status", {"status": status}, "application/strategic-merge-patch+json"
                )

    def _collect(self) -> None:
        """One process for each collector's pod that runs."""
        running = {
            pod["metadata"]["uid"]: pod
            for pod in self._client.get(PODS, labelSelector=_COLLECTOR)["items"]
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        }
        for uid in [uid for uid in self._collectors if uid not in running]:
            process = self._collectors.pop(uid)
            process.terminate()
            process.wait()
        for uid, pod in running.items():
            if uid not in self._collectors:
                self._collectors[uid] = self._started(uid, pod)

    def _started(self, uid: str, pod: Any) -> "subprocess.Popen[bytes]":
        root = self._folder / uid
        spec = pod["spec"]
        (container,) = spec["containers"]
        for mount in container["volumeMounts"]:
            (volume,) = [one for one in spec["volumes"] if one["name"] == mount["name"]]
            if "configMap" in volume:
                self._mount(root / mount["mountPath"].lstrip("/"), volume["configMap"])
        account = root / "account"
        account.mkdir(parents=True, exist_ok=True)
        path = f"/api/v1/namespaces/{SOAK_NAMESPACE}/serviceaccounts/{spec['serviceAccountName']}/token"
        token = self._client.create(path, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
        (account / "token").write_text(token)
        (account / "ca.crt").write_bytes(self._authority.read_bytes())
        host, _, port = self._endpoint.removeprefix("https://").partition(":")
        env = {one["name"]: one["value"] for one in container["env"]}
        env["PYTHONPATH"] = str(root / env["PYTHONPATH"].lstrip("/"))
        env |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        _, *command, settings = container["command"]
        with (root / "log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-S", *command, str(root / settings.lstrip("/")), str(account)],
                env=env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _mount(self, folder: Path, volume: Any) -> None:
        data = self._client.get(f"/api/v1/namespaces/{SOAK_NAMESPACE}/configmaps/{volume['name']}")["data"]
        for item in volume.get("items") or [{"key": key, "path": key} for key in data]:
            target = folder / item["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(data[item["key"]])

    def _end_runs(self) -> None:
        for pod in self._client.get(PODS, labelSelector=SOAK_LABEL)["items"]:
            uid = pod["metadata"]["uid"]
            if pod["status"].get("phase") != "Running" or uid in self._ended:
                continue
            booted = ci.command_line(self._client, self._instances, pod["spec"]["nodeName"])
            if booted is not None:
                self._end(pod, patched=ci.ARGUMENT in booted.split())
                self._ended.add(uid)

    def _end(self, pod: Any, *, patched: bool) -> None:
        name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
        (container,) = pod["spec"]["containers"]
        failed = ci.outcome(patched=patched, draw=self._random.random())
        lines = ci.FAILURE_LINES if failed else "Ready after 31s"
        self._logs.write(
            SOAK_NAMESPACE, name, container["name"], *(line.encode() for line in lines.split("\n")), at=time.time()
        )
        if failed:
            self._found[node] = KERNEL_LINE
            self._client.create("/api/v1/namespaces/default/events", _event(node))
        ended = {"exitCode": int(failed), "finishedAt": _now(), "reason": "Error" if failed else "Completed"}
        statuses = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {"terminated": ended},
            }
        ]
        phase = "Failed" if failed else "Succeeded"
        try:
            self._client.patch(f"{PODS}/{name}/status", {"status": {"phase": phase, "containerStatuses": statuses}})
        except ApiError as error:
            if error.status != 404:
                raise


def _condition(found: str) -> dict[str, Any]:
    return {
        "type": KERNEL_CONDITION,
        "status": "True" if found else "False",
        "reason": "KCacheCreate" if found else "NoSignature",
        "message": found or "no definite signature in the kernel log",
        "lastHeartbeatTime": _now(),
        "lastTransitionTime": _now(),
    }


def _has(node: Any, wanted: dict[str, Any]) -> bool:
    """Whether the node says all this already, whatever the times."""
    status = node["status"]
    known = {one["type"]: one["message"] for one in status.get("conditions") or [] if one["type"] == KERNEL_CONDITION}
    asked = {one["type"]: one["message"] for one in wanted.get("conditions", ())}
    addresses = [one["address"] for one in status.get("addresses") or []]
    return "127.0.0.1" in addresses and asked == known and status.get("daemonEndpoints") == wanted["daemonEndpoints"]


def _event(node: str) -> dict[str, Any]:
    return {
        "metadata": {"generateName": f"{node}.", "namespace": "default"},
        "involvedObject": {"kind": "Node", "name": node, "uid": node},
        "reason": "KCacheCreate",
        "message": KERNEL_LINE,
        "source": {"component": "kernel-monitor", "host": node},
        "firstTimestamp": _now(),
        "lastTimestamp": _now(),
        "count": 1,
        "type": "Warning",
    }


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
