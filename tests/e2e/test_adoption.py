"""A group that exists already becomes the first version, and is left as its owner made it until it is drained."""

import pytest

from pulumi_nodepools.cluster.record import PoolRecord
from tests.e2e import legacy
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, Cloud
from tests.e2e.record import uninterrupted

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(500)]
BUDGET = {"maxUnavailable": 1}


def listed(active: str, adopt: dict | None, **versions):
    def change(config) -> None:
        pool = config["nodepools:pools"]["grown"]
        pool.pop("adopt", None)
        pool.update(active=active, versions=versions, **({"adopt": adopt} if adopt else {}))

    return change


def _up(project, edit) -> None:
    project.edit(edit)
    assert "Traceback" not in project.up("--skip-preview").expect().output


def _on(cloud: Cloud, nodes) -> bool:
    where = {node["metadata"]["name"] for node in nodes}
    pods = cloud.pods("web")
    return len(pods) == 2 and {pod["spec"].get("nodeName") for pod in pods} <= where


def test_an_existing_group_is_adopted_replaced_rolled_back_to_and_retired(cloud: Cloud, make_project) -> None:
    project = make_project("grown")
    legacy.make(cloud, project, pool="grown", version=OLD)
    cloud.deployment("web", "grown", replicas=2, budget=BUDGET, selector={"example.com/pool": "worker"})
    adopt = {"autoScalingGroup": legacy.NAME, "version": "legacy"}
    try:
        with uninterrupted(cloud, "grown", "adoption"):
            before, pods = legacy.group(cloud), {pod["metadata"]["uid"] for pod in cloud.pods("web")}
            project.edit(listed("legacy", adopt))
            planned = project.preview().expect().output
            assert "autoscaling" not in planned
            project.up("--skip-preview").expect()
            after = legacy.group(cloud)
            assert {key: after[key] for key in after} == {key: before[key] for key in before}, (
                "adoption touches nothing"
            )
            assert {pod["metadata"]["uid"] for pod in cloud.pods("web")} == pods
            assert PoolRecord(cloud.client, "grown").load().serving == "legacy"

            _up(project, listed(NEW, adopt, **{NEW: NEW_SPEC}))
            assert cloud.groups("grown")[NEW]["DesiredCapacity"] == 2, "as large as the adopted group"
            assert _on(cloud, cloud.nodes("grown", NEW))
            standing = legacy.group(cloud)
            assert standing["MinSize"] == standing["MaxSize"] == standing["DesiredCapacity"] == 2
            assert (len(legacy.nodes(cloud)), legacy.schedulable(cloud)) == (2, 0)

            _up(project, listed("legacy", adopt, **{NEW: NEW_SPEC}))
            assert legacy.schedulable(cloud) == 2
            assert _on(cloud, legacy.nodes(cloud))
            back = legacy.group(cloud)
            assert {key: back[key] for key in legacy.SIZES} == legacy.SIZES
            assert back["SuspendedProcesses"] == []

            project.edit(listed(NEW, None, **{NEW: NEW_SPEC}))
            refused = project.up("--skip-preview").fails().output
            assert "the adopted group legacy-workers, is no longer listed but its nodes" in refused
            assert legacy.schedulable(cloud) == 2

            _up(project, listed(NEW, adopt | {"retired": True}, **{NEW: NEW_SPEC}))
            assert _on(cloud, cloud.nodes("grown", NEW))
            assert legacy.group(cloud)["DesiredCapacity"] == 0
            _up(project, listed(NEW, None, **{NEW: NEW_SPEC}))
            assert legacy.group(cloud)["DesiredCapacity"] == 0, "who made the group deletes it"
            project.up("--skip-preview", "--expect-no-changes").expect()
    finally:
        cloud.remove("web")
        legacy.remove(cloud)
