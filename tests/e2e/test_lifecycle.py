"""The life of versions with the real engine: tried, promoted, rolled back in standby, retired, removed."""

import pytest

from pulumi_nodepools.cluster.record import PoolRecord
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud
from tests.e2e.record import uninterrupted

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(500)]
CANARY = f"{NEW}-canary"


def versions(pool: str, active: str, **listed):
    """The edit that lists exactly these versions, by name with dots as underscores."""

    def change(config) -> None:
        config["nodepools:pools"][pool].update(active=active, versions=listed)

    return change


def _both(active: str, old=OLD_SPEC, new=NEW_SPEC, pool: str = "life"):
    return versions(pool, active, **{OLD: old, NEW: new})


def _up(project, edit) -> None:
    project.edit(edit)
    assert "Traceback" not in project.up("--skip-preview").expect().output
    project.up("--skip-preview", "--expect-no-changes").expect()


def _standing(cloud: Cloud, pool: str, version: str, nodes: int = 2) -> None:
    """The version keeps its nodes, empty, cordoned, and frozen."""
    group = cloud.groups(pool)[version]
    assert group["MinSize"] == group["MaxSize"] == group["DesiredCapacity"] == nodes
    assert {item["ProcessName"] for item in group["SuspendedProcesses"]} >= {"Launch", "AZRebalance"}
    assert (len(cloud.nodes(pool, version)), cloud.schedulable(pool, version)) == (nodes, 0)


def _serving(cloud: Cloud, pool: str, version: str, nodes: int = 2) -> None:
    group = cloud.groups(pool)[version]
    assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"]) == (1, 6, nodes)
    assert group["SuspendedProcesses"] == []
    assert cloud.schedulable(pool, version) == nodes
    record = PoolRecord(cloud.client, pool).load()
    assert (record.serving, record.pending, record.states[version]) == (version, "", "active")
    running = {pod["spec"]["nodeName"] for pod in cloud.pods("web")}
    assert running <= {node["metadata"]["name"] for node in cloud.nodes(pool, version)}


def test_a_version_is_tried_promoted_rolled_back_promoted_again_retired_and_removed(cloud: Cloud, make_project) -> None:
    project = make_project("life")
    project.up("--skip-preview").expect()
    cloud.deployment("web", "life", replicas=2, budget={"maxUnavailable": 1})
    try:
        with uninterrupted(cloud, "life", "lifecycle"):
            _up(project, _both(OLD, new=NEW_SPEC | {"canary": {"count": 1}}))
            (node,) = cloud.nodes("life", CANARY)
            assert {"key": "nodepools.dev/canary", "value": NEW, "effect": "NoSchedule"}.items() <= next(
                taint for taint in node["spec"]["taints"] if taint["key"] == "nodepools.dev/canary"
            ).items()
            _serving(cloud, "life", OLD)

            _up(project, _both(NEW))
            assert set(cloud.groups("life")) == {OLD, NEW}, "the canary's group is gone"
            _serving(cloud, "life", NEW)
            _standing(cloud, "life", OLD)

            _up(project, _both(OLD))
            _serving(cloud, "life", OLD)
            _standing(cloud, "life", NEW)

            _up(project, _both(NEW))
            _serving(cloud, "life", NEW)
            _standing(cloud, "life", OLD)

            _up(project, _both(NEW, old=OLD_SPEC | {"retired": True}))
            cloud.until(lambda: not cloud.nodes("life", OLD))
            assert cloud.groups("life")[OLD]["DesiredCapacity"] == 0
            _serving(cloud, "life", NEW)

            _up(project, versions("life", NEW, **{NEW: NEW_SPEC}))
            assert set(cloud.groups("life")) == {NEW}
            _serving(cloud, "life", NEW)
    finally:
        cloud.remove("web")
