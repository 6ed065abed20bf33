"""A stack whose program is the matrix, previewed by the real engine under the pack."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sandbox.binaries import locate
from sandbox.engine import REPOSITORY
from tests.policies.matrix import CASE_VARIABLE, CASES

PACK = REPOSITORY / "policies"


class Stack:
    """One stack whose program is the matrix; a preview changes nothing, so all cases share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "state").mkdir()
        runtime = f"runtime: {{name: python, options: {{virtualenv: {sys.prefix}}}}}"
        (folder / "Pulumi.yaml").write_text(f"name: matrix\n{runtime}\n")
        (folder / "__main__.py").write_text("from tests.policies.matrix import main\n\nmain()\n")
        plugin = folder / "home" / "plugins" / f"resource-aws-v{version('pulumi-aws')}"
        plugin.mkdir(parents=True)
        script = plugin / "pulumi-resource-aws"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.policies.aws_plugin "$@"\n')
        script.chmod(0o755)
        self.env = {
            "PATH": os.pathsep.join([*map(str, locate().path_entries), os.environ["PATH"]]),
            "HOME": str(folder),
            "PYTHONPATH": str(REPOSITORY),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
        }

    def run(self, *arguments: str, case: str = "") -> tuple[int, str]:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env={**self.env, CASE_VARIABLE: case},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def preview(self, case: str = "", config: Mapping[str, Any] | None = None) -> tuple[int, str]:
        """The preview of a case under the pack: (exit code, output). `config` in place of the case's own."""
        path = self.folder / "policy-config.json"
        path.write_text(json.dumps(config or (CASES[case].config if case else {})))
        return self.run("preview", "--policy-pack", str(PACK), "--policy-pack-config", str(path), case=case)
