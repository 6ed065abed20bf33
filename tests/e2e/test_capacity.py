"""EC2 has no capacity in one zone: the gate names group and cause, nothing is drained, and there is a way both ways."""

import pytest

from pulumi_nodepools.cluster.record import PoolRecord
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud
from tests.e2e.record import uninterrupted
from tests.e2e.versions import listing, up

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(500)]
BOTH = {OLD: OLD_SPEC, NEW: NEW_SPEC}
SHORT = "us-west-2b"


def _serves(cloud: Cloud, version: str) -> None:
    """All three nodes of the version take pods, and each of its groups is as the stack says."""
    for name, group in cloud.groups("zoned").items():
        if name.startswith(version):
            assert (group["MinSize"], group["MaxSize"], group["SuspendedProcesses"]) == (1, 2, [])
    assert cloud.schedulable("zoned", version) == 3
    record = PoolRecord(cloud.client, "zoned").load()
    assert (record.serving, record.pending) == (version, "")


def test_a_zone_without_capacity_stops_at_the_gate_and_is_waited_out_or_left(cloud: Cloud, make_project) -> None:
    project = make_project("zoned")
    size = {"min": 3, "max": 6, "initial": 3}
    gate = {"timeout": "20s", "consecutive": 1, "interval": "500ms"}
    project.edit(lambda config: config["nodepools:pools"]["zoned"].update(size=size, zones="each", gate=gate))
    project.edit(lambda config: config["nodepools:pools"]["zoned"]["gate"].update(timeout="60s"))
    project.up("--skip-preview").expect()
    project.edit(lambda config: config["nodepools:pools"]["zoned"].update(gate=gate))
    cloud.deployment("web", "zoned", replicas=3, budget={"maxUnavailable": 1})
    pods = {pod["metadata"]["uid"] for pod in cloud.pods("web")}
    try:
        with uninterrupted(cloud, "zoned", "zone-without-capacity"):
            cloud.switch_aws({"zoneWithoutCapacity": [SHORT]})
            project.edit(listing("zoned", NEW, **BOTH))
            for _ in range(2):
                stopped = project.up("--skip-preview").fails().output
                assert f"prod-zoned-{NEW}-{SHORT} 1 of 1 instances have not been launched" in stopped
                assert "sufficient m5.2xlarge capacity in the Availability Zone you requested (us-west-2b)" in stopped
                assert "Traceback" not in stopped
                assert PoolRecord(cloud.client, "zoned").load().serving == OLD
                assert cloud.schedulable("zoned", OLD) == 3
                assert all(not group["SuspendedProcesses"] for group in cloud.groups("zoned").values())
                assert {pod["metadata"]["uid"] for pod in cloud.pods("web")} == pods

            up(project, listing("zoned", OLD, **BOTH))
            _serves(cloud, OLD)
            assert cloud.schedulable("zoned", NEW) == 0
            assert {pod["metadata"]["uid"] for pod in cloud.pods("web")} == pods

            cloud.switch_aws({})
            project.edit(lambda config: config["nodepools:pools"]["zoned"]["gate"].update(timeout="60s"))
            up(project, listing("zoned", NEW, **BOTH))
            _serves(cloud, NEW)
            up(project, listing("zoned", NEW, **{NEW: NEW_SPEC}))
            assert all(name.startswith(NEW) for name in cloud.groups("zoned"))
    finally:
        cloud.switch_aws({})
        cloud.remove("web")
