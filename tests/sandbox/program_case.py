"""A Pulumi program in a folder of its own, run by the sandbox's engine with the stand-ins for its plugins."""

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from sandbox.binaries import locate
from sandbox.engine import REPOSITORY


class Program:
    """One stack, `dev`, of the project `probe`."""

    def __init__(
        self, folder: Path, text: str, *plugins: str, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> None:
        self.folder = folder
        self._timeout = timeout
        (folder / "state").mkdir(parents=True)
        self.write("Pulumi.yaml", f"name: probe\nruntime: {{name: python, options: {{virtualenv: {sys.prefix}}}}}\n")
        self.write("__main__.py", text)
        for name in plugins:
            plugin = folder / "home/plugins" / f"resource-{name}-v{version(f'pulumi-{name}')}/pulumi-resource-{name}"
            plugin.parent.mkdir(parents=True)
            line = f'PYTHONPATH={REPOSITORY} exec {sys.executable} -m sandbox.plugins.{name} "$@"'
            plugin.write_text(f"#!/bin/sh\n{line}\n")
            plugin.chmod(0o755)
        self.env = {
            "PATH": os.pathsep.join([*map(str, locate().path_entries), os.environ["PATH"]]),
            "HOME": str(folder),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            **(env or {}),
        }
        self.run("stack", "init", "dev")

    def write(self, name: str, text: str) -> None:
        """A file of the program."""
        (self.folder / name).write_text(text)

    def run(self, *words: str, fails: bool = False, stdin: str = "") -> str:
        """One command of the engine; all that it says. It must fail if and only if it is said to."""
        done = subprocess.run(
            ["pulumi", *words, "--non-interactive"],
            cwd=self.folder,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=self._timeout,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stdout + done.stderr
