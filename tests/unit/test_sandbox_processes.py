"""Pid files: only the very process that was started is ever taken for alive or signalled."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cli import export_lines
from sandbox.processes import Processes, SandboxError, end_session, session_members, start_time, stop_each

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


def test_one_that_was_killed_is_started_again_with_its_own_command(processes: Processes) -> None:
    first = processes.start("part", SLEEP)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    second = processes.start_again("part")
    assert processes.pid("part") == second != first
    assert json.loads((processes.pids / "part.json").read_text())["command"] == SLEEP


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


DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


def test_a_process_that_ignores_sigterm_is_killed_and_collected(processes: Processes) -> None:
    pid = processes.start("deaf", [sys.executable, "-c", DEAF])
    processes.wait("deaf", lambda: "deaf" in processes.log("deaf").read_text(), timeout=20, what="its handler")
    assert processes.stop("deaf", timeout=0.2)
    assert not Path(f"/proc/{pid}").exists(), "our own child stays behind as a zombie"


def test_a_zombie_counts_as_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, but not collected
    assert Path(f"/proc/{child.pid}").exists()
    assert start_time(child.pid) is None
    child.wait()


def test_one_part_that_does_not_end_keeps_no_other_part_alive() -> None:
    ended = []

    def stubborn() -> bool:
        raise SandboxError("kwok does not end")

    with pytest.raises(SandboxError, match="kwok does not end; fleet neither"):
        stop_each([stubborn, lambda: bool(ended.append("etcd")), lambda: _raise(OSError("fleet neither"))])
    assert ended == ["etcd"]
    assert stop_each([lambda: False, lambda: True]) is True
    assert stop_each([lambda: False]) is False


def _raise(error: Exception) -> bool:
    raise error


def test_a_session_ends_with_all_its_process_groups() -> None:
    start = f"subprocess.Popen({SLEEP!r}, process_group=0)"
    grandchild = f"import subprocess, time; p = {start}; print(p.pid, flush=True); time.sleep(60)"
    leader = subprocess.Popen(
        [sys.executable, "-c", grandchild], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert leader.stdout is not None
    other_group = int(leader.stdout.readline())
    assert other_group in session_members(leader.pid)
    end_session(leader.pid)
    leader.wait()
    leader.stdout.close()
    assert session_members(leader.pid) == []
    assert start_time(other_group) is None


WITH_SANDBOX = """
import os, signal, time
from sandbox.signals import Terminated, catch_terminate, undisturbed
catch_terminate()
try:
    print("begun", flush=True)
    time.sleep(60)
except Terminated:
    with undisturbed():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        print("cleaned up", flush=True)
"""


def test_sigterm_unwinds_and_cannot_cut_off_the_clean_up() -> None:
    process = subprocess.Popen([sys.executable, "-c", WITH_SANDBOX], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.terminate()
    output, _ = process.communicate(timeout=20)
    assert (output, process.returncode) == ("cleaned up\n", 0)
