"""`nodepools drain` on a terminal of 80 columns: its picture, and what ^C says and leaves."""

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from dataclasses import replace

import pytest

from pulumi_nodepools.cluster.record import PoolRecord
from tests.apiserver import cli_case
from tests.apiserver.drain_case import NODES, on

pytestmark = pytest.mark.apiserver

SIZE = struct.pack("HHHH", 24, 80, 0, 0)


class Terminal:
    """A command whose three streams are one terminal, which it is in control of."""

    def __init__(self, cluster, *arguments):
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, SIZE)
        env = {"PATH": "/usr/bin:/bin", "TERM": "xterm", "KUBECONFIG": str(cluster.plane.kubeconfig)}
        self.process = subprocess.Popen(
            # Else ^C would reach nobody.
            ["setsid", "--ctty", sys.executable, "-m", "pulumi_nodepools.cli", *arguments],
            **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
            env=env,
        )
        os.close(theirs)
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)
        os.close(self._ours)

    def until(self, wanted, seconds=60.0):
        """Read on until the text is there; what was printed in place of it is the error."""
        deadline = time.monotonic() + seconds
        while wanted not in self.text:
            assert time.monotonic() < deadline, f"{wanted!r} was not shown:\n{self.text}"
            ready, _, _ = select.select([self._ours], [], [], 1.0)
            try:
                data = os.read(self._ours, 65536) if ready else b""
            except OSError:  # the other end is closed: Linux calls that an error
                data = b""
                assert wanted in self.text, f"it ended without {wanted!r}:\n{self.text}"
            self.text += data.decode()

    def press(self, key):
        os.write(self._ours, key)


def test_ctrl_c_says_what_it_leaves_and_the_same_command_goes_on(cluster):
    for version in ("v1", "v2"):
        labels = {"nodepools.dev/pool": "tty", "nodepools.dev/version": version}
        cluster.nodes(f"tty-{version}", 2, **labels)
        if version == "v1":
            space = cluster.namespace()
            cluster.deployment(space, "web", 4, **on("tty-v1", "tty-v2"))
            cluster.wait_ready(space, 4)
    PoolRecord(cluster.client, "tty").update(lambda now: replace(now, serving="v2"))
    cluster.budget(space, "web", minAvailable=4)
    cluster.wait(lambda: cluster.allowed(space, "web") == 0)
    command = ("drain", "--pool", "tty", "--version", "v1", "--batch-size", "100%")

    with Terminal(cluster, *command) as terminal:
        terminal.until("0/2 nodes")
        terminal.until(f"{space}/web")
        assert "ready nodes:" in terminal.text
        terminal.press(b"\x03")
        terminal.until("stopping: nothing new is evicted")
        terminal.until("The same command goes on from here")
        assert terminal.process.wait(60) == 2
    assert "Traceback" not in terminal.text
    assert len(cluster.ready(space)) == 4
    left = cluster.client.get(NODES, labelSelector="nodepools.dev/pool=tty,nodepools.dev/version=v1")["items"]
    assert all(node["spec"].get("unschedulable") for node in left), "it said that they stay cordoned"
    assert PoolRecord(cluster.client, "tty").holder() == ""

    cluster.client.delete(f"/apis/policy/v1/namespaces/{space}/poddisruptionbudgets/web")
    again = cli_case.run(cluster, *command)
    assert again.returncode == 0, again.stderr
    assert "\x1b" not in again.stderr, "plain lines where nobody looks"
