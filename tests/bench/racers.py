"""Three ways to empty the nodes of a pool, each timed from its start until it is over.

`floor` is what no drain can undercut: nodes cordoned beforehand, evictions sent by 32 threads without any rule, timed
until the last pod is gone. It waits neither for replacements nor for anything else.
"""

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.watch import RESOURCES, Ready, Watcher
from pulumi_nodepools.drain.events import Gone, Relisted

_THREADS = 32
_LOOK = 0.02
"""Seconds between two looks at the memory of a racer."""


@dataclass(frozen=True)
class Run:
    """How a race went."""

    racer: str
    seconds: float
    peak_mib: float | None = None
    cpu_seconds: float | None = None

    def to_json(self, requests: int, pods: int) -> dict[str, Any]:
        return {
            "racer": self.racer,
            "seconds": round(self.seconds, 2),
            "requests": requests,
            "requestsPerPod": round(requests / pods, 3),
            "peakMiB": self.peak_mib,
            "cpuSeconds": self.cpu_seconds,
        }


def floor(kubeconfig: Path, pods: Sequence[dict[str, Any]]) -> Run:
    """Raw evictions, until all are gone."""
    client = Client(Access(kind="kubeconfig", path=str(kubeconfig)), timeout=60)
    left, events = {pod["metadata"]["uid"] for pod in pods}, queue.SimpleQueue[Any]()
    watcher = Watcher(client, RESOURCES[0], events.put)
    watcher.start()
    while not isinstance(events.get(timeout=60), Ready):
        pass
    began = time.monotonic()
    with ThreadPoolExecutor(_THREADS) as threads:
        for pod in pods:
            threads.submit(_evict, client, pod["metadata"])
        while left:
            event = events.get(timeout=120)
            if isinstance(event, Gone):
                left.discard(event.key)
            elif isinstance(event, Relisted):
                left &= event.keys
    watcher.close()
    return Run("floor", time.monotonic() - began)


def _evict(client: Client, meta: Mapping[str, Any]) -> None:
    name = {"name": meta["name"], "namespace": meta["namespace"]}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": name}
    path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/eviction"
    while client.request("POST", path, body=body, timeout=60).status == 429:
        time.sleep(1)


def ours(kubeconfig: Path, pool: str, *options: str, hear: Callable[[str], None] | None = None) -> Run:
    """`nodepools drain`: also waits until the workloads are back."""
    command = [sys.executable, "-m", "pulumi_nodepools.cli", "drain", "--selector", f"pool={pool}", *options]
    return _timed("ours", command, {"KUBECONFIG": str(kubeconfig)}, hear)


def kubectl(binary: Path, kubeconfig: Path, pool: str, hear: Callable[[str], None] | None = None) -> Run:
    """`kubectl drain` as its users call it."""
    options = ["--ignore-daemonsets", "--delete-emptydir-data", "--timeout=20m"]
    command = [str(binary), "--kubeconfig", str(kubeconfig), "drain", "-l", f"pool={pool}", *options]
    return _timed("kubectl", command, {}, hear)


def _timed(racer: str, command: list[str], env: Mapping[str, str], hear: Callable[[str], None] | None) -> Run:
    """Run to the end; processor time and the peak of resident memory are the kernel's own counts.

    The peak is read while it runs: what wait4 gives for a child begins with the memory of whoever started it.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **env},
    )
    lines: list[str] = []
    reader = threading.Thread(target=_hear, args=(process, lines, hear), daemon=True)
    reader.start()
    peak, ended = 0.0, 0
    while not ended:
        peak = max(peak, _peak_mib(process.pid))
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        time.sleep(0 if ended else _LOOK)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join(10)
    if process.returncode:
        raise RuntimeError(f"{racer} ended with {process.returncode}:\n" + "".join(lines[-30:]))
    return Run(racer, seconds, round(peak, 1), round(usage.ru_utime + usage.ru_stime, 2))


def _peak_mib(pid: int) -> float:
    """The most resident memory that a process has had; 0 once it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def _hear(process: "subprocess.Popen[str]", lines: list[str], hear: Callable[[str], None] | None) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        if hear:
            hear(line)
