"""The commands of docs/tutorial.md, in their order, on a smaller pool: what a new user is told must work."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pulumi_nodepools import names
from sandbox.engine import REPOSITORY, Config, Project
from sandbox.story import apply
from tests.e2e.conftest import NEW, OLD, Cloud
from tests.rights_case import environment

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(500)]

BLOCK = re.compile(r"^```(console|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BEYOND = ("make ", "eval ", "git ", "nodepools status --watch")
"""What a test cannot do: end the sandbox of all tests, or watch for ever."""
ADMIN = "ADMINISTRATORS_KUBECONFIG"
KUBECTL = f'kubectl() {{ KUBECONFIG=${ADMIN} command kubectl "$@"; }}'
"""Who lays down workloads and looks at them has other rights than a replacement needs."""


def steps() -> list[str | Config]:
    """Each command that is shown, and the one edit as data."""
    text = (REPOSITORY / "docs" / "tutorial.md").read_text().split("## Do it yourself", 1)[1]
    found: list[str | Config] = []
    for language, block in BLOCK.findall(text):
        commands = [line.removeprefix("$ ") for line in block.splitlines()]
        wanted = [one for one in commands if not one.startswith(BEYOND)]
        found += [yaml.safe_load(block)] if language == "yaml" else wanted
    return found


@pytest.fixture
def project(cloud: Cloud, tmp_path: Path) -> Iterator[Project]:
    """The repository as a user has it, but for the size of the pool and the pace of its gate."""
    admin = {ADMIN: str(cloud.sandbox.kubeconfig)}
    project = Project(tmp_path / "project", cloud.sandbox.env | environment(cloud.sandbox, "operator") | admin)
    (project.folder / "sandbox").symlink_to(REPOSITORY / "sandbox")
    project.edit(_smaller)
    yield project
    skip = ",".join(f"prod/worker/{version}" for version in (OLD, NEW))
    project.destroy("--skip-preview", env={names.DRAIN_SKIP_VARIABLE: skip})
    project.run("stack", "rm", "--stack", project.stack, "--yes", "--force")
    _in_shell(project, ["kubectl delete --ignore-not-found --wait=false -f sandbox/story/workloads.yaml"])


def _smaller(config: Config) -> None:
    pool = config["nodepools:pools"]["worker"]
    pool["size"] = {"min": 3, "max": 20, "initial": 9}
    pool["gate"] = {"timeout": "3m", "consecutive": 1, "interval": "500ms"}


def _in_shell(project: Project, lines: list[str]) -> str:
    """Run in one shell, which ends at the first command that fails; a person would answer `pulumi up` with yes."""
    script = "\n".join(f"{line} --yes" if line.startswith("pulumi up") else line for line in lines)
    commands = f"PATH=$PWD/.venv/bin:$PATH\n{KUBECTL}\nset -e\n{script}"
    shell = subprocess.run(
        ["bash", "-c", commands], cwd=project.folder, env=project.env, check=False, capture_output=True, text=True
    )
    assert shell.returncode == 0, f"{script}\n{shell.stdout}{shell.stderr}"
    return shell.stdout


def test_the_tutorial_ends_with_a_patched_pool(cloud: Cloud, project: Project) -> None:
    told = steps()
    (edit,) = (one for one in told if isinstance(one, dict))
    at = told.index(edit)
    _in_shell(project, [str(one) for one in told[:at]])
    assert len(cloud.nodes("worker", OLD)) == 9
    apply.wait_until_serving(cloud.client)
    project.edit(lambda config: config["nodepools:pools"]["worker"].update(edit))
    shown = _in_shell(project, [str(one) for one in told[at + 1 :]])
    assert "workload shop/reports: single-replica" in shown
    assert len(cloud.nodes("worker", NEW)) == 9
    assert cloud.nodes("worker", OLD) == []
    assert (project.folder / "out/tutorial/report.html").read_text().rstrip().endswith("</html>")
