"""The pull-request workflow, its steps run here as they stand: under credentials that only read, and out of reach."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.engine import REPOSITORY, Project
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, Cloud, activate
from tests.rights_case import (
    PREVIEW_KEY,
    asked_of_aws,
    asked_of_cluster,
    environment,
    granted_by_iam,
    granted_by_rbac,
)
from tests.workflow_case import Runner, StepFailedError, path_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

WORKFLOW: dict[str, Any] = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "pull-request.yml").read_text())
# The environment is there, and linting and testing are what is running now.
SKIP = frozenset({"Install", "Lint", "Test"})
REVIEW = {("authorization.k8s.io", "selfsubjectaccessreviews", "create")}
"""What everybody may ask: whether he may."""
UNSEEN = {("", "services", "get")}
"""Asked only of the services behind admission webhooks, and there are none here."""
GH = """#!/bin/sh
# Stands in for GitHub: keeps what would be written, and knows no comment of its own to edit yet.
case "$*" in *--edit-last*) exit 1 ;; esac
printf '%s\\n' "$*" >"$RUNNER_TEMP/gh-arguments"
while [ $# -gt 0 ]; do [ "$1" = --body-file ] && cp "$2" "$RUNNER_TEMP/posted.md"; shift; done
"""


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project("flow")


@pytest.fixture
def kubeconfig(cloud: Cloud) -> str:
    """Of an identity that has the rights of docs/rbac/preview.yaml."""
    return Path(environment(cloud.sandbox, "preview")["KUBECONFIG"]).read_text()


def runner(project: Project, kubeconfig: str, folder: Path) -> Runner:
    """A checkout of this repository with the project's stack file, as the workflow would find it."""
    checkout, temp = folder / "checkout", folder / "temp"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, checkout / name)
    stack = yaml.safe_load(project.config_file.read_text())
    del stack["config"]["nodepools:cluster"]["access"]["roleArn"]  # that of drains, which a runner may not take on
    (checkout / "Pulumi.prod.yaml").write_text(yaml.safe_dump(stack, sort_keys=False))
    (checkout / ".venv").symlink_to((project.folder / ".venv").resolve())
    (checkout / "policies" / "venv").symlink_to(REPOSITORY / "policies" / "venv")
    temp.mkdir()
    tools = folder / "tools"
    tools.mkdir()
    (tools / "gh").write_text(GH)
    (tools / "gh").chmod(0o755)
    env = {key: value for key, value in project.env.items() if key != "KUBECONFIG"}
    env["AWS_ACCESS_KEY_ID"] = PREVIEW_KEY
    context = {
        "vars.PULUMI_BACKEND_URL": env["PULUMI_BACKEND_URL"],
        "secrets.PULUMI_CONFIG_PASSPHRASE": env["PULUMI_CONFIG_PASSPHRASE"],
        "secrets.PREVIEW_KUBECONFIG": kubeconfig,
        "github.token": "none",
        "github.repository": "example/infrastructure",
        "github.event.pull_request.number": "7",
    }
    return Runner(checkout, temp, {**env, "PATH": path_of(tools, env=env)}, context, SKIP)


def run(workflow: Runner) -> str:
    """Both jobs that have credentials; the comment that was posted."""
    for name in ("preview", "comment"):
        workflow.run_job(name, WORKFLOW["jobs"][name])
    assert "pr comment 7" in (workflow.temp / "gh-arguments").read_text()
    return (workflow.temp / "posted.md").read_text()


def test_a_replacement_is_previewed_planned_and_commented_with_rights_to_read(
    project: Project, cloud: Cloud, kubeconfig: str, tmp_path: Path
) -> None:
    project.up("--skip-preview").expect()
    cloud.deployment("single", "flow", replicas=1)
    try:
        project.edit(activate("flow", NEW, NEW_SPEC))
        workflow = runner(project, kubeconfig, tmp_path)
        posted = run(workflow)
    finally:
        cloud.remove("single")
    assert "| flow | 7.7.1908 (active) | created | 0 | 2 |" in posted
    assert "| flow | 7.6.1810 | removed | 2 | 0 |" in posted
    assert "is drained: 2 nodes in 2 batches of at most 1; 1 pods move." in posted
    assert "- default/single" in posted
    assert "Blockers: none." in posted
    assert workflow.ran[-2:] == ["Refuse plans that no policy sees", "Comment"]
    assert "nodepools@v" in workflow.printed
    assert cloud.groups("flow").keys() == {OLD}, "nothing was changed"
    seen = asked_of_cluster(cloud.sandbox, "preview", library=True) - REVIEW
    assert seen | UNSEEN == granted_by_rbac("preview.yaml"), "the runner's rights are those that it used"
    assert asked_of_aws(cloud.sandbox, PREVIEW_KEY) - {"sts:GetCallerIdentity"} == granted_by_iam("preview.json")


def test_out_of_reach_of_the_cluster_it_says_so_and_judges_the_state(
    project: Project, kubeconfig: str, tmp_path: Path
) -> None:
    project.edit(activate("flow", NEW, NEW_SPEC))
    project.up("--skip-preview").expect()
    nowhere = yaml.safe_load(kubeconfig)
    nowhere["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    workflow = runner(project, yaml.safe_dump(nowhere), tmp_path)
    posted = run(workflow)
    assert "The cluster cannot be reached from this runner, so nothing was previewed." in posted
    assert "Preview under the policies" not in workflow.ran
    assert "Judge the state instead, where the cluster is out of reach" in workflow.ran


def test_a_violation_fails_the_job(project: Project, kubeconfig: str, tmp_path: Path) -> None:
    workflow = runner(project, kubeconfig, tmp_path)  # the old version, which nothing excuses
    with pytest.raises(StepFailedError, match="nodepools-pool-nokmem") as failure:
        run(workflow)
    assert failure.value.step == "Preview under the policies"
    assert not (workflow.temp / "posted.md").exists()
