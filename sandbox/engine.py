"""Runs the real `pulumi` on a copy of this repository's project, for the demo and the end-to-end tests.

The copy exists because Pulumi writes an encryption salt into stack files. Its `.venv` is a link to the one in use, so
the program and the plugins run exactly what is installed. What the sandbox provides is in `sandbox.stack`.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.processes import end_session

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT_FILES = ("Pulumi.yaml", "Pulumi.prod.yaml", "__main__.py")
Config = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One finished command: exit code, everything it printed, seconds of wall time."""

    code: int
    output: str
    seconds: float

    def expect(self, code: int = 0) -> "Run":
        """Return self if the command ended with `code`; raise with its whole output, errors last, if not."""
        if self.code != code:
            raise AssertionError(f"expected exit code {code}, got {self.code}:\n{self.output}\n{self._errors()}")
        return self

    def fails(self) -> "Run":
        """Return self if the command failed; raise with its whole output if not. Releases differ in the code."""
        if self.code not in {1, 255}:
            raise AssertionError(f"expected a failure, got exit code {self.code}:\n{self.output}")
        return self

    def _errors(self) -> str:
        """The errors again: of a long output people and logs often have the end only."""
        lines = dict.fromkeys(line.strip() for line in self.output.splitlines())
        return "\n".join(line for line in lines if line.startswith("error:"))


class Project:
    """A copy of a project in `folder`, with its own stack, driven through the command line a user would type.

    `source` has the project's files: this repository's own, unless another folder is given.
    """

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        *,
        stack: str = "prod",
        echo: bool = False,
        source: Path = REPOSITORY,
    ) -> None:
        self.folder = folder
        self.stack = stack
        self.env = dict(env)
        self._echo = echo
        folder.mkdir(parents=True, exist_ok=True)
        files = [source / name for name in PROJECT_FILES] if source == REPOSITORY else source.iterdir()
        for path in files:
            if path.is_file():
                shutil.copy(path, folder / path.name)
        link = folder / ".venv"
        if not link.exists():
            link.symlink_to(Path(sys.prefix))

    @property
    def config_file(self) -> Path:
        return self.folder / f"Pulumi.{self.stack}.yaml"

    def create(self) -> None:
        """Create the stack; the copied stack file is kept."""
        self.run("stack", "init", self.stack).expect()

    def edit(self, change: Callable[[Config], None]) -> None:
        """Apply `change` to the `config` mapping of the stack file, as a user's editor would."""
        document = yaml.safe_load(self.config_file.read_text())
        change(document["config"])
        self.config_file.write_text(yaml.safe_dump(document, sort_keys=False))

    def preview(self, *flags: str) -> Run:
        return self.run("preview", "--stack", self.stack, "--non-interactive", *flags)

    def up(self, *flags: str, env: Mapping[str, str] | None = None) -> Run:
        return self.run("up", "--stack", self.stack, "--yes", "--non-interactive", *flags, env=env)

    def destroy(self, *flags: str, env: Mapping[str, str] | None = None) -> Run:
        return self.run("destroy", "--stack", self.stack, "--yes", "--non-interactive", *flags, env=env)

    def resources(self) -> list[dict[str, Any]]:
        """The resources in the stack's state, as the engine exports them."""
        deployment = json.loads(self.run("stack", "export", "--stack", self.stack, echo=False).expect().output)
        found: list[dict[str, Any]] = deployment["deployment"].get("resources") or []
        return found

    def urns(self) -> list[str]:
        return [resource["urn"] for resource in self.resources()]

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Start a command in a session of its own and return at once, for tests that kill it."""
        return subprocess.Popen(
            ["pulumi", *arguments],
            cwd=self.folder,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(
        self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 600, echo: bool | None = None
    ) -> Run:
        """Run `pulumi ARGUMENTS` to its end; a command over `timeout` seconds is ended with all it started."""
        began = time.monotonic()
        process = self.start(*arguments, env=env)
        lines: list[str] = []
        show = self._echo if echo is None else echo
        watchdog = _Watchdog(process, timeout)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if show and not line.startswith("@ "):  # the engine's dots: only its terminal display erases them
                    print("   ", line, end="", flush=True)
            code = process.wait()
        except BaseException:
            # Nobody will read its end any more, and what it works on is about to be taken away.
            end_session(process.pid)
            process.wait()
            raise
        finally:
            watchdog.cancel()
        return Run(code, "".join(lines), time.monotonic() - began)


class _Watchdog:
    """Kills a session that outlives its time, so that a hanging engine fails one test and not all of them."""

    def __init__(self, process: "subprocess.Popen[str]", seconds: float) -> None:
        import threading

        self._timer = threading.Timer(seconds, self._end, (process,))
        self._timer.daemon = True
        self._timer.start()

    @staticmethod
    def _end(process: "subprocess.Popen[str]") -> None:
        if process.poll() is None:
            end_session(process.pid)

    def cancel(self) -> None:
        self._timer.cancel()
