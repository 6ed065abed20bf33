"""The CI job of the story: builds a cluster inside docker, and fails at random where kernel memory is accounted.

Stands in for the kernel: whether a run fails depends only on the command line that the pod's node was really booted
with (the fleet's record of it), never on which version somebody says it is. Job, pod, scheduling and eviction are real;
this runner only plays the kubelet's part of reporting how the container ended.
"""

import json
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.errors import ApiError, NodePoolsError

NAMESPACE = "ci"
LABEL = "sandbox.nodepools.dev/ci"
KIND_IN_DOCKER = "kind-in-docker"
ARGUMENT = "cgroup.memory=nokmem"
FAILURE_RATE = 0.4
FAILURE_LINES = (
    'level=error msg="stream copy error: reading from a closed fifo"\n'
    'OCI runtime create failed: container_linux.go:346: starting container process caused "process_linux.go:319: '
    'getting the final child\'s pid from pipe caused \\"EOF\\"": unknown'
)


@dataclass(frozen=True)
class Result:
    """One finished run of the job."""

    pod: str
    node: str
    patched: bool
    failed: bool


def job(number: int) -> dict[str, Any]:
    """The Job of run `number`; an eviction is ignored, so the run starts again on another node."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{KIND_IN_DOCKER}-{number}", "namespace": NAMESPACE},
        "spec": {
            "backoffLimit": 0,
            "podFailurePolicy": {
                "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}],
            },
            "template": {
                "metadata": {"labels": {LABEL: KIND_IN_DOCKER}},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [
                        {
                            "name": "dind",
                            "image": "example.com/ci/dind:19.03",
                            "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}},
                        }
                    ],
                },
            },
        },
    }


def outcome(*, patched: bool, draw: float) -> bool:
    """Whether a run fails: never on a node booted with the argument, else in FAILURE_RATE of the runs."""
    return not patched and draw < FAILURE_RATE


def command_line(client: Client, instances: Path, node: str) -> str | None:
    """What the node's instance was really booted with; None when the fleet does not know it (any more)."""
    provider_id = client.get(f"/api/v1/nodes/{node}")["spec"]["providerID"]
    instance = json.loads(instances.read_text()).get(provider_id.rsplit("/", 1)[-1])
    return None if instance is None else instance["cmdline"]


class Runner:
    """Starts a run every `interval` seconds and finishes the pods that run; `results` grows until `stop`."""

    def __init__(self, client: Client, instances: Path, *, interval: float = 1.0, seed: int = 20200428) -> None:
        self.results: list[Result] = []
        self._client = client
        self._instances = instances
        self._interval = interval
        self._random = random.Random(seed)
        self._stopped = threading.Event()
        self._finished: set[str] = set()
        self._number = 0

    def start(self) -> "Runner":
        for loop in (self._submit, self._finish):
            threading.Thread(target=loop, daemon=True).start()
        return self

    def stop(self) -> None:
        self._stopped.set()

    def counts(self, *, patched: bool) -> tuple[int, int]:
        """(runs, failures) on nodes booted with the argument, or without."""
        runs = [result for result in self.results if result.patched == patched]
        return len(runs), sum(result.failed for result in runs)

    def wait_for(self, *, patched: bool, runs: int, failures: int = 0, timeout: float = 120.0) -> None:
        """Return once that many runs and failures have been seen; TimeoutError with the counts if not in time."""
        deadline = time.monotonic() + timeout
        while True:
            seen, failed = self.counts(patched=patched)
            if seen >= runs and failed >= failures:
                return
            if time.monotonic() > deadline:
                where = "patched" if patched else "unpatched"
                raise TimeoutError(f"{seen} runs ({failed} failed) on {where} nodes; waited for {runs} ({failures})")
            self._stopped.wait(0.2)

    def _submit(self) -> None:
        while not self._stopped.wait(self._interval):
            self._number += 1
            try:
                self._client.create(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs", job(self._number))
            except NodePoolsError as error:
                print(f"ci: run {self._number} was not submitted: {error}")

    def _finish(self) -> None:
        while not self._stopped.wait(0.5):
            try:
                for page in self._client.list_raw(
                    f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector=f"{LABEL}={KIND_IN_DOCKER}"
                ):
                    for pod in msgspec.json.decode(page)["items"]:
                        self._consider(pod)
            except NodePoolsError as error:
                print(f"ci: {error}")

    def _consider(self, pod: dict[str, Any]) -> None:
        metadata, status = pod["metadata"], pod.get("status") or {}
        running = status.get("phase") == "Running" and "deletionTimestamp" not in metadata
        if not running or metadata["uid"] in self._finished:
            return
        node = pod["spec"]["nodeName"]
        booted = command_line(self._client, self._instances, node)
        if booted is None:
            return
        patched = ARGUMENT in booted.split()
        failed = outcome(patched=patched, draw=self._random.random())
        try:
            self._report(metadata["name"], failed)
        except ApiError as error:
            if error.status not in {404, 409}:  # evicted in the meantime: it did not end here
                raise
            return
        self._finished.add(metadata["uid"])
        self.results.append(Result(metadata["name"], node, patched, failed))

    def _report(self, name: str, failed: bool) -> None:
        ended: dict[str, Any] = {"exitCode": 1 if failed else 0, "reason": "Error" if failed else "Completed"}
        if failed:
            ended["message"] = FAILURE_LINES
        self._client.patch(
            f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/status",
            {
                "status": {
                    "phase": "Failed" if failed else "Succeeded",
                    "containerStatuses": [
                        {
                            "name": "dind",
                            "image": "example.com/ci/dind:19.03",
                            "imageID": "",
                            "ready": False,
                            "restartCount": 0,
                            "state": {"terminated": ended},
                        }
                    ],
                }
            },
        )
