"""What can be asked of the pull-request workflow without running it: pinned actions, rights, no values in scripts."""

import json
import re

import yaml

from pulumi_nodepools.ci_check import of_text
from sandbox.engine import REPOSITORY
from tests.rights_case import IAM

FOLDER = REPOSITORY / ".github" / "workflows"
TEXT = (FOLDER / "pull-request.yml").read_text()
WORKFLOW = yaml.safe_load(TEXT)
JOBS = WORKFLOW["jobs"]
EXAMPLES = REPOSITORY / "docs" / "examples" / "pull_request"


def test_every_action_is_pinned_by_commit_with_its_version_beside():
    lines = [line for line in TEXT.splitlines() if "uses:" in line]
    assert len(lines) == sum("uses" in step for job in JOBS.values() for step in job["steps"])
    assert all(re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line) for line in lines), lines


def test_rights_are_given_per_job_and_only_the_comment_may_write():
    assert WORKFLOW["permissions"] == {}
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "check": {"contents": "read"},
        "preview": {"contents": "read", "id-token": "write"},
        "comment": {"pull-requests": "write"},
    }
    assert not any("uses" in step for step in JOBS["comment"]["steps"]), "no code of the pull request beside that right"


def test_forks_get_no_credentials_and_no_workflow_runs_with_the_targets_rights():
    assert WORKFLOW[True] == {"pull_request": None}, "`on`, which YAML reads as true"
    assert "head.repo.full_name == github.repository" in JOBS["preview"]["if"]
    assert "secrets" not in json.dumps(JOBS["check"])


def test_values_reach_scripts_through_the_environment_only():
    scripts = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]
    assert scripts
    assert not any("${{" in script for script in scripts)


def test_it_goes_on_after_no_error():
    assert list(of_text("pull-request.yml", TEXT)) == []


def test_checkouts_leave_no_token_behind():
    checkouts = [step for job in JOBS.values() for step in job["steps"] if "checkout" in step.get("uses", "")]
    assert len(checkouts) == 2
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_aws_role_only_reads_and_trusts_one_repository():
    files = (EXAMPLES / "iam-state.json", IAM / "preview.json")
    statements = [one for file in files for one in json.loads(file.read_text())["Statement"]]
    actions = [action for statement in statements for action in statement["Action"]]
    assert actions
    assert all(re.fullmatch(r"\w+:(Describe|Get|List)\w+", action) for action in actions)
    (trust,) = json.loads((EXAMPLES / "iam-trust.json").read_text())["Statement"]
    subject = trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    assert re.fullmatch(r"repo:[\w-]+/[\w-]+:pull_request", subject)
