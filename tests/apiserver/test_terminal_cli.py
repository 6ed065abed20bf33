"""`nodepools drain` and `status --watch` on a terminal of 80 columns: their picture, and what ^C says and leaves."""

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
import yaml

from pulumi_nodepools.cluster.record import PoolRecord
from tests.apiserver import cli_case
from tests.apiserver.drain_case import NODES

pytestmark = pytest.mark.apiserver

PREVIEW = Path(__file__).parents[2] / "docs" / "rbac" / "preview.yaml"
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SIZE = struct.pack("HHHH", 24, 80, 0, 0)


class Terminal:
    """A command whose three streams are one terminal, which it is in control of."""

    def __init__(self, cluster, *arguments, kubeconfig=None):
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, SIZE)
        env = {"PATH": "/usr/bin:/bin", "TERM": "xterm", "KUBECONFIG": str(kubeconfig or cluster.plane.kubeconfig)}
        self.process = subprocess.Popen(
            # Else ^C would reach nobody.
            ["setsid", "--ctty", sys.executable, "-m", "pulumi_nodepools.cli", *arguments],
            **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
            env=env,
        )
        os.close(theirs)
        self._shown = b""
        self.text = ""
        """What was shown, one picture after the other, without colours and movements."""

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
            self._shown += data
            self.text = CODES.sub("", self._shown.decode(errors="ignore"))

    def press(self, key):
        os.write(self._ours, key)


@pytest.fixture
def stuck(cluster, request):
    """A pool whose old version cannot be drained until its budget is deleted: its name and the namespace."""
    name = f"tty-{request.node.name.split('_')[1]}"
    space = cli_case.two_versions(cluster, name)
    cluster.budget(space, "web", minAvailable=4)
    cluster.wait(lambda: cluster.allowed(space, "web") == 0)
    return name, space


@pytest.fixture
def onlooker(cluster, tmp_path):
    """The kubeconfig of somebody with the rights of docs/rbac/preview.yaml and no others."""
    for body in yaml.safe_load_all(PREVIEW.read_text()):
        space = body["metadata"].get("namespace")
        kind = body["kind"].lower() + "s"
        path = f"/apis/rbac.authorization.k8s.io/v1/{f'namespaces/{space}/' if space else ''}{kind}"
        cluster.request("POST", path, body)
    return cluster.plane.mint_kubeconfig(tmp_path / "onlooker.kubeconfig", "onlooker", ["nodepools-preview"])


def _free(cluster, space):
    cluster.client.delete(f"/apis/policy/v1/namespaces/{space}/poddisruptionbudgets/web")


def test_ctrl_c_says_what_it_leaves_and_the_same_command_goes_on(cluster, stuck):
    name, space = stuck
    command = ("drain", "--pool", name, "--version", "v1", "--batch-size", "100%")

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
    left = cluster.client.get(NODES, labelSelector=f"nodepools.dev/pool={name},nodepools.dev/version=v1")["items"]
    assert all(node["spec"].get("unschedulable") for node in left), "it said that they stay cordoned"
    assert PoolRecord(cluster.client, name).holder() == ""

    _free(cluster, space)
    again = cli_case.run(cluster, *command)
    assert again.returncode == 0, again.stderr
    assert "\x1b" not in again.stderr, "plain lines where nobody looks"


def test_a_drain_of_another_process_is_watched_from_its_first_block_over_its_death_to_its_end(cluster, stuck, onlooker):
    name, space = stuck
    drain = ("drain", "--pool", name, "--version", "v1", "--batch-size", "100%")
    title = f"drain of {name}/v1"
    with Terminal(cluster, "status", "--watch", kubeconfig=onlooker) as watch:
        watch.until("NODE")
        assert title not in watch.text, "nothing is drained yet"
        with cli_case.Running(cluster, *drain) as killed:
            watch.until(title)
            watch.until("pdb-impossible")
            watch.until("of at least 2 (0 old, 2 new or staying)")
            assert "draining" in watch.text
            assert cli_case.run(cluster, "pause", "--pool", name).returncode == 0
            watch.until(f"{title}  paused")
            assert cli_case.run(cluster, "resume", "--pool", name).returncode == 0
            assert killed.text
        watch.until("its run died")
        _free(cluster, space)
        assert cli_case.run(cluster, *drain).returncode == 0
        watch.until(f"{title}  drained")
        watch.until("2/2 nodes")
        watch.press(b"\x03")
        assert watch.process.wait(60) == 0
    assert "Traceback" not in watch.text
