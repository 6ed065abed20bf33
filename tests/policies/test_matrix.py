"""The pack in the real engine, one program per mandatory rule: the preview fails, names that rule, and nothing else."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from policies.rules import RULES
from policies.rules.rule import Level
from sandbox.binaries import locate
from sandbox.engine import REPOSITORY
from tests.policies.matrix import CASE_VARIABLE, CASES
from tests.policy_output import violations

PACK = REPOSITORY / "policies"
MANDATORY = sorted(rule.name for rule in RULES if rule.level is Level.MANDATORY)
engine = [pytest.mark.sandbox, pytest.mark.timeout(240)]


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

    def preview(self, case: str = "") -> tuple[int, str]:
        """The preview of a case under the pack: (exit code, output)."""
        config = self.folder / "policy-config.json"
        config.write_text(json.dumps(CASES[case].config if case else {}))
        return self.run("preview", "--policy-pack", str(PACK), "--policy-pack-config", str(config), case=case)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    stack = Stack(tmp_path_factory.mktemp("matrix"))
    code, output = stack.run("stack", "init", "dev")
    assert code == 0, output
    return stack


def test_every_mandatory_rule_has_a_program_that_breaks_it():
    assert sorted(CASES) == MANDATORY


class TestEngine:
    """With the real engine."""

    pytestmark = engine

    def test_the_good_program_passes_without_a_word(self, stack):
        code, output = stack.preview()
        assert code == 0, output
        assert "nodepools@v" in output, "the pack was not run"
        assert violations(output) == set()

    @pytest.mark.parametrize("name", MANDATORY)
    def test_a_program_that_breaks_one_rule_is_stopped_by_that_rule_alone(self, stack, name):
        code, output = stack.preview(name)
        assert code != 0, output
        assert violations(output) == {("mandatory", name)}, output
