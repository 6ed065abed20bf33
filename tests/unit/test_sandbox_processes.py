"""Pid files: only the very process that was started is ever taken for alive or signalled."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cli import export_lines
from sandbox.processes import Processes, SandboxError, start_time

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path)
    yield processes
    for name in processes.names():
        processes.stop(name)


def test_stop_ends_the_process_and_what_it_started(processes: Processes) -> None:
    child = f"import subprocess, time; p = subprocess.Popen({SLEEP!r}); print(p.pid, flush=True); time.sleep(60)"
    pid = processes.start("parent", [sys.executable, "-c", child])
    processes.wait("parent", lambda: processes.log("parent").read_text().endswith("\n"), timeout=20, what="its child")
    grandchild = int(processes.log("parent").read_text())
    assert processes.alive("parent")
    assert processes.stop("parent")
    assert start_time(pid) is None
    assert not _lives_after_a_moment(grandchild)
    assert processes.stop("parent") is False
    assert processes.names() == []


def _lives_after_a_moment(pid: int) -> bool:
    """SIGKILL is not instantaneous: give the kernel its moment."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    import select

    gone, _, _ = select.select([descriptor], [], [], 10)
    os.close(descriptor)
    return not gone


def test_reused_pid_is_neither_alive_nor_signalled(processes: Processes) -> None:
    innocent = subprocess.Popen(SLEEP)
    try:
        processes.pids.mkdir()
        record = {"pid": innocent.pid, "started": (start_time(innocent.pid) or 0) - 1, "command": []}
        (processes.pids / "etcd.json").write_text(json.dumps(record))
        assert not processes.alive("etcd")
        assert processes.stop("etcd") is False
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


@pytest.mark.parametrize("text", ["", "{", '{"pid": "1"}', '{"pid": 1}'])
def test_damaged_pid_file_counts_as_not_running(processes: Processes, text: str) -> None:
    processes.pids.mkdir()
    (processes.pids / "etcd.json").write_text(text)
    assert not processes.alive("etcd")
    assert processes.stop("etcd") is False


def test_process_that_dies_is_reported_with_the_end_of_its_log(processes: Processes) -> None:
    processes.start("etcd", [sys.executable, "-c", "print('port is taken')"])
    with pytest.raises(SandboxError, match=r"etcd ended before its port; .*\n.*port is taken"):
        processes.wait("etcd", lambda: False, timeout=20, what="its port")


def test_process_that_never_gets_ready_is_reported(processes: Processes) -> None:
    processes.start("etcd", SLEEP)
    with pytest.raises(SandboxError, match="etcd runs, but its port did not come within 0 s"):
        processes.wait("etcd", lambda: False, timeout=0, what="its port")


def test_exports_keep_path_and_take_foreign_settings_away() -> None:
    lines = export_lines({"PATH": "/a b", "AWS_REGION": "r"}, ["AWS_PROFILE", "AWS_REGION", "HOME", "PULUMI_STACK"])
    assert lines == ["unset AWS_PROFILE PULUMI_STACK", "export PATH='/a b':\"$PATH\"", "export AWS_REGION=r"]
