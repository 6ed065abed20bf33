"""The operator's command as a process of its own, against a test's cluster."""

import json
import subprocess
import sys
import threading
import time
from dataclasses import replace

from pulumi_nodepools.cluster.record import PoolRecord
from tests.apiserver.drain_case import on


def _process(cluster, arguments, streams):
    env = {"PATH": "/usr/bin:/bin", "KUBECONFIG": str(cluster.plane.kubeconfig)}
    command = [sys.executable, "-m", "pulumi_nodepools.cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=streams, text=True, env=env)


def run(cluster, *arguments):
    """The finished process."""
    process = _process(cluster, arguments, subprocess.PIPE)
    out, err = process.communicate(timeout=100)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


class Running:
    """A command that is still at work; its stderr as it comes."""

    def __init__(self, cluster, *arguments):
        self._process = _process(cluster, arguments, subprocess.PIPE)
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        self._reader.start()
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait(10)

    def _read(self):
        for line in self._process.stderr:
            self.lines.append((time.monotonic(), line.rstrip()))

    @property
    def text(self):
        return "\n".join(line for _, line in self.lines)

    def ended(self):
        """Exit code and the document on stdout."""
        out = self._process.stdout.read()
        code = self._process.wait(100)
        self._reader.join(10)
        return code, json.loads(out) if out else None


def two_versions(cluster, name):
    """A pool with two nodes of v1, which carry four pods, and two of v2, which serves; the pods' namespace."""
    for version in ("v1", "v2"):
        labels = {"nodepools.dev/pool": name, "nodepools.dev/version": version}
        cluster.nodes(f"{name}-{version}", 2, **labels)
        if version == "v1":
            space = cluster.namespace()
            cluster.deployment(space, "web", 4, **on(f"{name}-v1", f"{name}-v2"))
            cluster.wait_ready(space, 4)
    PoolRecord(cluster.client, name).update(lambda now: replace(now, serving="v2"))
    return space
