"""A pool, or the whole stack, is to go while its pods fit nowhere else: nothing is touched, and there is a way back."""

import re
from pathlib import Path

import pytest

from pulumi_nodepools.cluster.record import PoolRecord
from sandbox.engine import Project, Run
from tests.e2e.conftest import OLD, Cloud
from tests.e2e.record import uninterrupted
from tests.e2e.versions import serves

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(500)]
WITHOUT = 'import pulumi\n\npulumi.export("pools", "none")\n'
"""A program that has dropped the component, and no longer imports the library."""
NOWHERE = r"2 pods would be evicted and there is no ready|2 of 2 pods that would be evicted fit on none of the"
"""The second one while nodes of other pools are there."""


def test_a_pool_whose_pods_fit_nowhere_else_stays_however_it_is_dropped(cloud: Cloud, make_project) -> None:
    project = make_project("home")
    project.up("--skip-preview").expect()
    program: Path = project.folder / "__main__.py"
    whole, pools = program.read_text(), {}
    cloud.deployment("web", "home", replicas=2, budget={"maxUnavailable": 1})
    pods = {pod["metadata"]["uid"] for pod in cloud.pods("web")}

    def stays(run: Run) -> None:
        assert "Traceback" not in run.fails().output
        assert re.search(NOWHERE, run.output), run.output
        assert f"set NODEPOOLS_DRAIN_SKIP=prod/home/{OLD}" in run.output
        assert not re.search(r"(Group|ClusterRole|ClusterRoleBinding|LaunchTemplate) \S+ deleted", run.output)
        group = cloud.groups("home")[OLD]
        assert (group["MinSize"], group["MaxSize"], group["SuspendedProcesses"]) == (1, 6, [])
        assert cloud.schedulable("home", OLD) == 2
        assert {pod["metadata"]["uid"] for pod in cloud.pods("web")} == pods
        assert PoolRecord(cloud.client, "home").load().serving is None, "the pool is meant to go"

    def serves_again() -> None:
        project.up("--skip-preview").expect()
        serves(cloud, "home", OLD, app="web")
        assert {pod["metadata"]["uid"] for pod in cloud.pods("web")} == pods
        project.up("--skip-preview", "--expect-no-changes").expect()

    try:
        with uninterrupted(cloud, "home", "dropped-with-nowhere-to-go"):
            project.edit(lambda config: pools.update(config["nodepools:pools"]))
            project.edit(lambda config: config.update({"nodepools:pools": {}}))
            stays(project.up("--skip-preview"))
            project.edit(lambda config: config.update({"nodepools:pools": pools}))
            serves_again()

            program.write_text(WITHOUT)
            stays(project.up("--skip-preview"))
            program.write_text(whole)
            serves_again()

            for _ in range(2):
                stays(project.destroy("--skip-preview"))
            serves_again()
        _goes_with_the_skip(cloud, project)
    finally:
        cloud.remove("web")


def _goes_with_the_skip(cloud: Cloud, project: Project) -> None:
    skip = {"NODEPOOLS_DRAIN_SKIP": f"prod/home/{OLD}"}
    gone = project.destroy("--skip-preview", env=skip).expect().output
    assert "NODEPOOLS_DRAIN_SKIP names it: not drained; its nodes and the pods on them are deleted as they are" in gone
    assert not cloud.groups("home")


def test_a_pool_whose_pods_fit_elsewhere_is_drained_and_destroyed(cloud: Cloud, make_project) -> None:
    project = make_project("near", "far")
    project.up("--skip-preview").expect()
    both = {"example.com/pool": "worker"}
    cloud.deployment("web", "near", replicas=4, budget={"maxUnavailable": 1}, selector=both)
    try:
        with uninterrupted(cloud, "near", "dropped-with-room"):
            project.edit(lambda config: config["nodepools:pools"].pop("near"))
            output = project.up("--skip-preview").expect().output
            drained = re.search(r"DrainHook near-\S+-drain deleted", output)
            deleted = re.search(r"Group near-\S+-group deleted", output)
            assert drained
            assert deleted
            assert drained.start() < deleted.start()
            where = {node["metadata"]["name"] for node in cloud.nodes("far")}
            assert {pod["spec"]["nodeName"] for pod in cloud.pods("web")} <= where
            project.up("--skip-preview", "--expect-no-changes").expect()
    finally:
        cloud.remove("web")
