"""The user's own check of a batch: a program run in the project's folder, without a shell, ended when its time is up.

It gets this process's environment and what it has to judge. Of its output the last lines are told if it does not pass,
without what looks like a secret. When it is asked, and what follows from its answer, is the drain's business.
"""

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO

from pulumi_nodepools.bootstrap import secrets
from pulumi_nodepools.drain.events import AskCommand, CommandEnded
from pulumi_nodepools.drain.settings import DrainSettings

Run = Callable[[AskCommand, threading.Event], CommandEnded]
_BEAT = 0.25
_GRACE = 5.0
"""Seconds that a command has to end by itself once it was told to."""
_TAIL_BYTES = 4000
_TAIL_LINES = 10
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_KEY", re.IGNORECASE)
_SHORTEST_SECRET = 6
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def command_of(settings: DrainSettings, pool: str, version: str) -> Run | None:
    """What runs the settings' command for drains of this version; None if there is none."""
    gate = settings.batch_gate
    if not gate.command:
        return None

    def run(asked: AskCommand, stop: threading.Event) -> CommandEnded:
        told = {
            "NODEPOOLS_POOL": pool,
            "NODEPOOLS_VERSION": version,
            "NODEPOOLS_BATCH": str(asked.batch),
            "NODEPOOLS_NODES": " ".join(asked.nodes),
        }
        return CommandEnded(_failure(gate.command, {**os.environ, **told}, gate.command_timeout, stop))

    return run


def _failure(command: tuple[str, ...], environment: Mapping[str, str], limit: float, stop: threading.Event) -> str:
    """Run it; why it did not pass, empty if it did. Only its first word is named: arguments may be private."""
    # A file and not a pipe: what the command leaves running must not keep us waiting for the end of its output.
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            return f"{command[0]} could not be started in {os.getcwd()}: {error.strerror}"  # noqa: PTH109 - as it is
        why = _waited(process, limit, stop)
        if not why:
            return ""
        said = _tail(output, environment)
    return f"{command[0]} {why}" + (f"; it said:\n{said}" if said else " and said nothing")


def _waited(process: "subprocess.Popen[bytes]", limit: float, stop: threading.Event) -> str:
    deadline = time.monotonic() + limit
    while True:
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(_BEAT)
            return "" if code == 0 else _ended(code)
        if stop.is_set() or time.monotonic() >= deadline:
            _end(process)
            return "was ended with the drain" if stop.is_set() else f"did not end within {limit:g} s and was ended"


def _ended(code: int) -> str:
    return f"ended with exit code {code}" if code > 0 else f"was ended by {signal.Signals(-code).name}"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """It and what it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
            return


def _tail(output: IO[bytes], environment: Mapping[str, str]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _TAIL_BYTES))
    text = output.read().decode(errors="replace")
    for name, value in environment.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "***")
    bad = dict(secrets.find(text))
    lines = [
        f"(a line with {bad[number]} is left out)" if number in bad else _CONTROL.sub("", line)
        for number, line in enumerate(text.splitlines(), start=1)
    ]
    return "\n".join(f"    {line}" for line in lines[-_TAIL_LINES:])
