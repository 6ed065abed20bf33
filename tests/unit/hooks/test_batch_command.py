"""The user's command as a real process: what it is told, when it has failed, what of its output is shown."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from pulumi_nodepools.drain.events import AskCommand
from pulumi_nodepools.drain.settings import BatchGate, DrainSettings
from pulumi_nodepools.hooks.batch_command import command_of

ASKED = AskCommand(2, ("node-a", "node-b"))


def run(*command, timeout=60.0, stop=None):
    settings = DrainSettings(batch_gate=BatchGate(command=command, command_timeout=timeout))
    return command_of(settings, "worker", "v1")(ASKED, stop or threading.Event()).failure


def script(text):
    return sys.executable, "-c", text


def test_without_a_command_there_is_nothing_to_run():
    assert command_of(DrainSettings(), "worker", "v1") is None


def test_exit_code_0_passes_whatever_it_says():
    assert run(*script("print('all is lost')")) == ""


def test_it_is_told_what_to_judge_and_runs_in_the_folder_of_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", "/somewhere/kubeconfig")
    (tmp_path / "check").write_text(
        '#!/bin/sh\necho "$NODEPOOLS_POOL|$NODEPOOLS_VERSION|$NODEPOOLS_BATCH|$NODEPOOLS_NODES|$KUBECONFIG|$PWD|$1"\n'
        "exit 1"
    )
    (tmp_path / "check").chmod(0o755)
    told = run("./check", "a b; $(id) *")
    assert f"worker|v1|2|node-a node-b|/somewhere/kubeconfig|{tmp_path}|a b; $(id) *" in told, "no shell in between"
    assert told.startswith("./check ended with exit code 1; it said:\n")


def test_the_last_lines_of_both_streams_are_shown_without_control_characters():
    told = run(
        *script(
            "import sys\nfor n in range(30): print('line', n)\nsys.stderr.write('\\x1b[31mred\\x07\\n')\nsys.exit(9)"
        )
    )
    assert "exit code 9" in told
    assert "line 29" in told
    assert "line 19" not in told
    assert "    red" in told
    assert "\x1b" not in told


def test_no_secret_is_shown_neither_of_the_environment_nor_by_its_form(monkeypatch):
    monkeypatch.setenv("DEPLOY_TOKEN", "hunter2-hunter2")
    text = "import os; print('with', os.environ['DEPLOY_TOKEN']); print('AKIA' + 'ABCDEFGHIJKLMNOP'); exit(1)"
    told = run(*script(text), "--password=argument")
    assert "with ***" in told
    assert "(a line with an AWS access key is left out)" in told
    assert not [word for word in ("hunter2", "AKIA", "argument") if word in told]


@pytest.mark.parametrize(
    "text",
    [
        "import time; time.sleep(600)",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
    ],
)
def test_one_that_does_not_end_is_ended_with_all_that_it_started(text, tmp_path, monkeypatch):
    monkeypatch.setattr("pulumi_nodepools.hooks.batch_command._GRACE", 0.5)
    child = tmp_path / "child"
    (tmp_path / "check").write_text(f'#!/bin/sh\nsleep 600 & echo $! > {child}\nexec {sys.executable} -c "{text}"\n')
    (tmp_path / "check").chmod(0o755)
    told = run(str(tmp_path / "check"), timeout=1.5)
    assert "did not end within 1.5 s and was ended" in told
    number = int(child.read_text())
    deadline = time.monotonic() + 20
    while _runs(number):
        assert time.monotonic() < deadline, "its child lives on"


def _runs(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_it_is_ended_with_the_drain():
    stop = threading.Event()
    stop.set()
    assert "was ended with the drain" in run("sleep", "600", timeout=500.0, stop=stop)


def test_what_it_leaves_running_is_not_waited_for(tmp_path):
    child = tmp_path / "child"
    assert run("/bin/sh", "-c", f"sleep 600 & echo $! > {child}", timeout=300.0) == ""
    os.kill(int(child.read_text()), signal.SIGKILL)


def test_one_that_cannot_be_started_is_named_with_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("./missing") == f"./missing could not be started in {tmp_path}: No such file or directory"
    (tmp_path / "plain").write_text("exit 0")
    assert "Permission denied" in run("./plain")


def test_one_that_is_killed_is_told_by_its_signal():
    assert "was ended by SIGKILL" in run("/bin/sh", "-c", "kill -9 $$")
