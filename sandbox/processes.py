"""Start, recognise and end the sandbox's processes by pid file; it knows nothing of what they do.

A pid alone proves nothing after a crash or a reboot: the kernel reuses it. Each pid file therefore also keeps the
process's start time, and nothing is signalled unless both match.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

POLL = 0.05
# How long a killed process may take to vanish: on a busy machine the kernel needs seconds to take its memory back.
VANISH = 20.0
# A process in these states runs nothing any more: it is dead, and at most waits to be collected by its parent.
ENDED = {"Z", "X", "x"}


class SandboxError(Exception):
    """The sandbox could not do what it was asked; the message says what to do next."""


def start_time(pid: int) -> int | None:
    """When a live process began (clock ticks since boot); None when it is gone or only waits to be collected."""
    fields = _stat(pid)
    return None if not fields or fields[0] in ENDED else int(fields[19])


def session_members(leader: int) -> list[int]:
    """The live processes of the session that process `leader` began, whatever process groups they are in."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if (fields := _stat(pid)) and fields[0] not in ENDED and int(fields[3]) == leader]


def end_session(leader: int, *, patience: float = 10.0) -> None:
    """Kill every process of a session: plugins lead process groups of their own, so killing one group is not enough."""

    def nobody_left() -> bool:
        members = session_members(leader)
        for pid in members:
            _signal(pid, signal.SIGKILL)
        return not members

    _within(patience, nobody_left)


def stop_each(stops: Iterable[Callable[[], bool]]) -> bool:
    """Call every one, also when some fail; True if any said so. SandboxError afterwards tells all failures."""
    ended, failures = False, []
    for stop in stops:
        try:
            ended = stop() or ended
        except (SandboxError, OSError) as error:
            failures.append(str(error))
    if failures:
        raise SandboxError("; ".join(failures))
    return ended


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    # The second field, the command's name in brackets, may itself hold spaces and brackets.
    return text.rpartition(")")[2].split()


class Processes:
    """The processes of one sandbox folder: `<root>/pids/<name>.json` and `<root>/logs/<name>.log`."""

    def __init__(self, root: Path) -> None:
        self.pids = root / "pids"
        self.logs = root / "logs"

    def start(
        self, name: str, argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> int:
        """Start in the background, in a session of its own: ^C in the terminal must not end half a control plane."""
        self.pids.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("wb") as log:
            process = subprocess.Popen(
                [str(part) for part in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                start_new_session=True,
            )
        # Nobody waits for it through this object; without this Python warns when the object is collected.
        process.returncode = 0
        record = {"pid": process.pid, "started": start_time(process.pid), "command": [str(part) for part in argv]}
        temporary = self.pids / f".{name}.json"
        temporary.write_text(json.dumps(record))
        temporary.replace(self._file(name))
        return process.pid

    def start_again(self, name: str) -> int:
        """Start one that has ended with the command that it was started with, in this process's environment."""
        return self.start(name, json.loads(self._file(name).read_text())["command"])

    def pid(self, name: str) -> int | None:
        """The pid when the very process that was started under this name still runs."""
        try:
            record = json.loads(self._file(name).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        pid, started = record.get("pid"), record.get("started")
        if not isinstance(pid, int) or started is None or start_time(pid) != started:
            return None
        return pid

    def alive(self, name: str) -> bool:
        return self.pid(name) is not None

    def names(self) -> list[str]:
        """Every process with a pid file, alive or not."""
        return sorted(path.stem for path in self.pids.glob("[!.]*.json")) if self.pids.is_dir() else []

    def stop(self, name: str, *, timeout: float = 15.0) -> bool:
        """End one process: SIGTERM, after `timeout` SIGKILL. True if it ran."""
        pid = self.pid(name)
        if pid is not None:
            _signal(pid, signal.SIGTERM)
            if not _within(timeout, lambda: not self.alive(name)):
                _signal(pid, signal.SIGKILL)
                if not _within(VANISH, lambda: not self.alive(name)):
                    raise SandboxError(f"{name} (pid {pid}) does not end, even when killed; look at `ps -fp {pid}`")
            # Each process leads a group of its own: nothing that it started may stay either.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            with suppress(ChildProcessError, PermissionError):
                os.waitpid(pid, os.WNOHANG)  # when it is our own child, so that no zombie stays
        self._file(name).unlink(missing_ok=True)
        return pid is not None

    def wait(self, name: str, ready: Callable[[], bool], *, timeout: float, what: str) -> None:
        """Until `ready` answers True; ends early, with the end of its log, when the process dies."""
        deadline = time.monotonic() + timeout
        while not self.alive(name) or not ready():
            if not self.alive(name):
                raise SandboxError(
                    f"{name} ended before {what}; its log {self.log(name)} ends with:\n{self.tail(name)}"
                )
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"{name} runs, but {what} did not come within {timeout:.0f} s; "
                    f"its log {self.log(name)} ends with:\n{self.tail(name)}"
                )
            time.sleep(POLL)

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def tail(self, name: str, lines: int = 12) -> str:
        try:
            text = self.log(name).read_text(errors="replace")
        except FileNotFoundError:
            return "(no log)"
        return "\n".join("  " + line[:400] for line in text.splitlines()[-lines:]) or "  (empty)"

    def _file(self, name: str) -> Path:
        return self.pids / f"{name}.json"


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _within(timeout: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True
