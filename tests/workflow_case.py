"""Runs the shell steps of a GitHub workflow here, in their order, with its expressions, conditions and output files.

Only what .github/workflows/pull-request.yml uses; anything else is an error, so that the test cannot pass over a step.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")
_CONDITION = re.compile(r"steps\.(\w+)\.outputs\.(\w+) == '(\w*)'")
_BLOCK = re.compile(r"^(\w+)<<(\S+)\n(.*?)\n\2$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"^(\w+)=(.*)$", re.MULTILINE)


@dataclass
class Runner:
    """A checkout with its temporary folder, the values of `vars`, `secrets` and `github`, and what has run so far."""

    checkout: Path
    temp: Path
    env: dict[str, str]
    context: dict[str, str]
    skip: frozenset[str] = frozenset()
    ran: list[str] = field(default_factory=list)
    printed: str = ""

    def run_job(self, name: str, job: Mapping[str, Any]) -> None:
        """Every step in order; raises with the output of the first that fails. Its outputs become `needs.<job>…`."""
        env = self.env | self._filled(job.get("env") or {})
        outputs: dict[str, str] = {}
        for step in job["steps"]:
            if "uses" in step or step["name"] in self.skip or not self._wanted(step.get("if"), outputs):
                continue
            found = self._run(step, env | self._filled(step.get("env") or {}))
            outputs |= {f"steps.{step.get('id')}.outputs.{key}": value for key, value in found.items()}
            env |= _pairs(self.temp / "env")
        for key, expression in (job.get("outputs") or {}).items():
            inner = _EXPRESSION.fullmatch(expression)
            assert inner, expression
            self.context[f"needs.{name}.outputs.{key}"] = outputs.get(inner[1], "")

    def _run(self, step: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, str]:
        output = self.temp / "output"
        output.write_text("")
        files = {"GITHUB_OUTPUT": str(output), "GITHUB_ENV": str(self.temp / "env"), "RUNNER_TEMP": str(self.temp)}
        assert "${{" not in step["run"], f"{step['name']}: values reach a script through env, never as its text"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],  # as GitHub runs them
            cwd=self.checkout,
            env={**env, **files},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )
        self.printed += f"== {step['name']}\n{done.stdout}"
        if done.returncode:
            raise StepFailedError(step["name"], self.printed)
        self.ran.append(step["name"])
        return _pairs(output)

    def _filled(self, values: Mapping[str, Any]) -> dict[str, str]:
        return {key: _EXPRESSION.sub(lambda found: self.context[found[1]], str(text)) for key, text in values.items()}

    @staticmethod
    def _wanted(condition: str | None, outputs: Mapping[str, str]) -> bool:
        if condition is None:
            return True
        found = _CONDITION.fullmatch(condition)
        assert found, f"this runner does not know the condition {condition!r}"
        return outputs.get(f"steps.{found[1]}.outputs.{found[2]}", "") == found[3]


class StepFailedError(AssertionError):
    """A step that ended with another code than 0."""

    def __init__(self, step: str, printed: str) -> None:
        super().__init__(f"step {step!r} failed:\n{printed}")
        self.step = step


def _pairs(path: Path) -> dict[str, str]:
    text = path.read_text() if path.exists() else ""
    blocks = {found[1]: found[3] for found in _BLOCK.finditer(text)}
    return blocks | dict(_LINE.findall(_BLOCK.sub("", text)))


def path_of(*folders: Path, env: Mapping[str, str]) -> str:
    """PATH with these folders first."""
    return os.pathsep.join([*map(str, folders), env["PATH"]])
