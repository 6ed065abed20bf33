"""`pulumi` as somebody has started it: looked at, interrupted and killed while it runs; and a stack in two places."""

import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from sandbox.engine import Project, Run
from sandbox.processes import end_session, session_members

UP = ("up", "--stack", "prod", "--yes", "--non-interactive", "--skip-preview")


class Engine:
    """A started `pulumi` whose output is read all the time, so that it never waits for its reader."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._lines.extend(self.process.stdout)

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def plugin(self) -> int:
        """The process in which the hooks run."""
        for pid in session_members(self.process.pid):
            if b"pulumi.dynamic" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise AssertionError(f"no hook plugin runs:\n{self.output}")

    def signal(self, number: signal.Signals) -> None:
        """To pulumi alone, not to what it started."""
        os.kill(self.process.pid, number)

    def wait(self, seconds: float = 120) -> Run:
        code = self.process.wait(seconds)
        self._reader.join(10)
        return Run(code, self.output, 0.0)

    def end(self) -> None:
        end_session(self.process.pid)
        self.process.wait()
        self._reader.join(10)


def copied_stack(project: Project, folder: Path) -> Project:
    """The same stack as another machine has it: own folder, own state, own locks, the same cloud."""
    home = Path(project.env["PULUMI_BACKEND_URL"].removeprefix("file://"))
    copy = folder / "state"
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns("locks"))
    env = {**project.env, "PULUMI_BACKEND_URL": f"file://{copy}"}
    other = Project(folder / "other", env)
    other.config_file.write_text(project.config_file.read_text())
    return other
