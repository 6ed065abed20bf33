"""The policy pack in the engine, on this repository's own program: what passes and what is stopped in preview."""

import json
from collections.abc import Callable

import pytest
import yaml

from sandbox.engine import REPOSITORY, Project, Run
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, Cloud, activate
from tests.policy_output import violations
from tests.rights_case import environment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ACCOUNTING = "nodepools-pool-nokmem"
STRAY_GROUP = """
import pulumi_aws

pulumi_aws.autoscaling.Group(
    "stray",
    min_size=0,
    max_size=1,
    launch_template={"name": "prod-stray", "version": "1"},
    tags=[{"key": "nodepools.dev/pool", "value": "judged", "propagate_at_launch": True}],
)
"""


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project("judged")


def _judged(project: Project, *flags: str) -> Run:
    return project.preview("--policy-pack", str(REPOSITORY / "policies"), *flags)


def _stopped(run: Run) -> str:
    """The output of a run that must have failed; which code a failed preview ends with differs between releases."""
    assert run.code != 0, run.output
    return run.output


def test_a_patched_pool_passes_every_policy(project: Project) -> None:
    project.edit(activate("judged", NEW, NEW_SPEC))
    run = _judged(project).expect()
    assert "nodepools@v" in run.output, "the pack was not run"
    assert violations(run.output) == set(), "everything of the library's own program is known in preview"


def test_the_stack_of_this_repository_passes_with_its_own_configuration(project: Project, cloud: Cloud) -> None:
    project.env |= environment(cloud.sandbox, "operator")  # it names no role for drains
    written = yaml.safe_load((REPOSITORY / "Pulumi.prod.yaml").read_text())["config"]
    project.edit(lambda config: config.update(written))
    configuration = json.loads((REPOSITORY / "policies" / "prod.json").read_text())
    for entry in configuration[ACCOUNTING]["allow"]:
        entry["expires"] = "9999-12-31"  # this test is not about the calendar
    config = project.folder / "policy-config.json"
    config.write_text(json.dumps(configuration))
    assert violations(_judged(project, "--policy-pack-config", str(config)).expect().output) == set()


def test_an_unpatched_pool_is_stopped_unless_configuration_excuses_it(project: Project, cloud: Cloud) -> None:
    output = _stopped(_judged(project))
    assert violations(output) == {("mandatory", ACCOUNTING)}
    assert f"version {OLD} of pool judged: it runs EL7 without cgroup.memory=nokmem" in output
    excuse = {"resource": f"judged-{OLD}", "reason": "to be patched by the next change", "expires": "9999-12-31"}
    config = project.folder / "policy-config.json"
    config.write_text(json.dumps({ACCOUNTING: {"allow": [excuse]}}))
    _judged(project, "--policy-pack-config", str(config)).expect()
    assert not cloud.groups("judged"), "a preview changes nothing"


def test_a_group_of_a_pool_without_a_drain_hook_is_stopped(project: Project) -> None:
    project.edit(activate("judged", NEW, NEW_SPEC))
    program = project.folder / "__main__.py"
    program.write_text(program.read_text() + STRAY_GROUP)
    output = _stopped(_judged(project))
    assert ("mandatory", "nodepools-group-drain-hook") in violations(output)
    assert "group 'stray' would be deleted with its nodes undrained" in output
