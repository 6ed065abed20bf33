"""Switches that do not come to their end while the other version stays listed: nothing is lost, there is a way back."""

import pytest

from pulumi_nodepools.cluster.record import PoolRecord
from tests.e2e.conftest import BAD_SPEC, NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud
from tests.e2e.record import uninterrupted
from tests.e2e.versions import listing, serves, stands_by, up

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(500)]


def test_a_cutover_that_is_blocked_is_rolled_back_and_no_target_goes_around_the_gate(
    cloud: Cloud, make_project
) -> None:
    project = make_project("torn")
    project.up("--skip-preview").expect()
    cloud.deployment("stuck", "torn", replicas=2, budget={"maxUnavailable": 0})
    cloud.deployment("flow", "torn", replicas=2, budget={"maxUnavailable": 1})
    both = {OLD: OLD_SPEC, NEW: NEW_SPEC}
    acknowledged = {"acknowledge": ["pdb-impossible/default/stuck"]}
    project.edit(lambda config: config["nodepools:pools"]["torn"]["drain"].update(acknowledged))
    try:
        with uninterrupted(cloud, "torn", "blocked-cutover"):
            stuck = {pod["metadata"]["uid"] for pod in cloud.pods("stuck")}
            project.edit(listing("torn", NEW, **both))
            for flags in (("--skip-preview",), ("--skip-preview", "--refresh")):
                blocked = project.up(*flags).fails().output
                assert "stuck" in blocked
                assert "Traceback" not in blocked
                record = PoolRecord(cloud.client, "torn").load()
                assert (record.serving, record.pending) == (NEW, NEW)
                stands_by(cloud, "torn", OLD)

            up(project, listing("torn", OLD, **both))
            serves(cloud, "torn", OLD, app="flow")
            stands_by(cloud, "torn", NEW)
            assert {pod["metadata"]["uid"] for pod in cloud.pods("stuck")} == stuck, "what never moved was not touched"

            project.edit(listing("torn", NEW, **both))
            (gate, cutover) = (
                next(urn for urn in project.urns() if urn.endswith(f"::torn-{part}")) for part in ("gate", "cutover")
            )
            for flags in (("--target", cutover), ("--exclude", gate)):
                assert "Traceback" not in project.up("--skip-preview", *flags).output
                serves(cloud, "torn", OLD, app="flow")
                stands_by(cloud, "torn", NEW)
            up(project, listing("torn", OLD, **both))
    finally:
        cloud.remove("stuck")
        cloud.remove("flow")


def test_a_bad_image_is_taken_back_while_it_stays_listed(cloud: Cloud, make_project) -> None:
    project = make_project("spoilt")
    project.up("--skip-preview").expect()
    cloud.deployment("web", "spoilt", replicas=2, budget={"maxUnavailable": 1})
    cloud.switch_images({BAD_SPEC["imageId"]: {"fault": "argument-not-applied"}})
    both = {OLD: OLD_SPEC, NEW: BAD_SPEC}
    try:
        with uninterrupted(cloud, "spoilt", "bad-image"):
            project.edit(listing("spoilt", NEW, **both))
            assert "abandon" in project.up("--skip-preview").fails().output.lower()
            record = PoolRecord(cloud.client, "spoilt").load()
            assert (record.serving, record.pending) == (OLD, NEW)

            up(project, listing("spoilt", OLD, **both))
            serves(cloud, "spoilt", OLD, app="web")
            bad = cloud.groups("spoilt")[NEW]
            assert "Launch" in {item["ProcessName"] for item in bad["SuspendedProcesses"]}
            assert not cloud.nodes("spoilt", NEW)
            up(project, listing("spoilt", OLD, **{OLD: OLD_SPEC}))
            assert set(cloud.groups("spoilt")) == {OLD}
    finally:
        cloud.remove("web")
