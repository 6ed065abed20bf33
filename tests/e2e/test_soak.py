"""A soak with the real engine and the real collector: the bug is found and refused, the patch is promoted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pulumi_nodepools.cluster.evidence import evidence_text
from sandbox.engine import Config, Project
from sandbox.story import soaking
from sandbox.story.soak import KERNEL_LINE, SoakNodes
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(900)]

POOL, UNPATCHED = "soaked", "7.6.1811"
SOAK = soaking.rules(seconds=60, runs=3)


def listed(active: str, **versions: Config) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        config["nodepools:pools"][POOL].update(active=active, versions=versions, soak=SOAK)

    return change


def test_an_unpatched_canary_is_refused_with_its_lines_and_a_patched_one_is_promoted(
    cloud: Cloud, make_project, tmp_path: Path
) -> None:
    project = make_project(POOL, administrator=True)  # who makes a soak grants rights of every kind
    nodes = SoakNodes.of(cloud.sandbox, cloud.client, tmp_path)
    with nodes:
        _soak(cloud, project, nodes)
    nodes.run_now()  # nobody ends these: they are at work on the old nodes, and on them alone, when the switch begins
    project.up("--skip-preview").expect()
    assert cloud.schedulable(POOL, NEW) == 2
    (gate,) = [one for one in project.resources() if one["type"].endswith(":SoakGate")]
    verdict = gate["outputs"]["verdict"]
    assert (verdict["outcome"], verdict["version"]) == ("passed", NEW)
    assert verdict["comparison"]["after"]["failures"] == 0
    assert verdict["comparison"]["before"]["runs"] >= 3
    assert evidence_text(cloud.client, POOL, NEW), "evidence outlives its soak"
    soaking.wait_until_gone(cloud.client)
    project.up("--skip-preview", "--expect-no-changes").expect()


def _soak(cloud: Cloud, project: Project, nodes: SoakNodes) -> None:
    """Until the canary of NEW has passed, and that of UNPATCHED was refused before."""
    project.edit(listed(OLD, **{OLD: OLD_SPEC}))
    project.up("--skip-preview").expect()

    project.edit(listed(OLD, **{OLD: OLD_SPEC, UNPATCHED: OLD_SPEC | {"canary": {"count": 1}}}))
    project.up("--skip-preview").expect()
    early = project.run("stack", "export", "--stack", "prod").expect()
    assert "nodepools:kubernetes:SoakTest" in early.output
    evidence = soaking.soaked(cloud.client, nodes, POOL, {UNPATCHED: soaking.shows_the_bug})[UNPATCHED]
    assert evidence.runs["canary"].failures > 0
    project.edit(listed(UNPATCHED, **{OLD: OLD_SPEC, UNPATCHED: OLD_SPEC}))
    for refused in (project.preview().fails(), project.up("--skip-preview").fails()):
        assert f"{POOL} {UNPATCHED} has not passed its soak, nothing was changed" in refused.output
        assert KERNEL_LINE in refused.output
        assert "Traceback" not in refused.output
    assert set(cloud.groups(POOL)) == {OLD, f"{UNPATCHED}-canary"}
    assert cloud.schedulable(POOL, OLD) == 2

    project.edit(listed(OLD, **{OLD: OLD_SPEC, NEW: NEW_SPEC | {"canary": {"count": 1}}}))
    project.up("--skip-preview").expect()
    assert set(cloud.groups(POOL)) == {OLD, f"{NEW}-canary"}
    project.edit(listed(NEW, **{OLD: OLD_SPEC, NEW: NEW_SPEC}))
    assert "has not passed its soak" in project.preview().fails().output, "not yet"

    evidence = soaking.soaked(cloud.client, nodes, POOL, {NEW: soaking.watched(60, 3)})[NEW]
    assert (evidence.runs["canary"].failures, dict(evidence.counts)) == (0, {})
    assert evidence.runs["baseline"].runs >= 3
