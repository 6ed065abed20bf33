"""The old version is scaled while it is replaced: the new one is never smaller."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pulumi_nodepools.cluster.record import PoolRecord
from sandbox.engine import Project
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud
from tests.e2e.record import uninterrupted
from tests.e2e.versions import listing, serves, stands_by
from tests.started import UP, Engine

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(500)]


@contextmanager
def _running(project: Project) -> Iterator[Engine]:
    engine = Engine(project.start(*UP))
    try:
        yield engine
    finally:
        engine.end()


def _group(pool: str, version: str) -> dict[str, str]:
    return {"AutoScalingGroupName": f"prod-{pool}-{version}"}


def _reach(cloud: Cloud, pool: str, engine: Engine, phase: str) -> None:
    def reached() -> bool:
        assert engine.process.poll() is None, f"ended before {phase}:\n{engine.output}"
        return PoolRecord(cloud.client, pool).load().phase == phase

    cloud.until(reached, 120)


def test_a_version_scaled_up_and_down_while_its_successor_boots_is_followed(cloud: Cloud, make_project) -> None:
    project = make_project("tide")
    project.up("--skip-preview").expect()
    cloud.deployment("web", "tide", replicas=2, budget={"maxUnavailable": 1})
    cloud.switch_images({NEW_SPEC["imageId"]: {"fault": "slow"}})
    scaling = cloud.aws("autoscaling")
    try:
        with uninterrupted(cloud, "tide", "scaled-while-green-boots") as record, _running(_listed(project)) as engine:
            _reach(cloud, "tide", engine, f"gate {NEW}")
            scaling.set_desired_capacity(**_group("tide", OLD), DesiredCapacity=3)
            cloud.until(lambda: cloud.groups("tide")[NEW]["DesiredCapacity"] == 3, 120)
            cloud.until(lambda: cloud.schedulable("tide", OLD) == 3)
            _take_the_empty_one(cloud, "tide")
            engine.wait(180).expect()
            stands_by(cloud, "tide", OLD, 2)
            serves(cloud, "tide", NEW, app="web", nodes=3)
            assert min(point["ready"] for point in record.ledger.capacity) >= 2
    finally:
        cloud.remove("web")


def _listed(project: Project) -> Project:
    project.edit(lambda config: config["nodepools:pools"]["tide"]["gate"].update(timeout="180s"))
    project.edit(listing("tide", NEW, **{OLD: OLD_SPEC, NEW: NEW_SPEC}))
    return project


def _take_the_empty_one(cloud: Cloud, pool: str) -> None:
    """As the cluster autoscaler does: a node without workloads is terminated by its name."""
    used = {pod["spec"]["nodeName"] for pod in cloud.pods("web")}
    empty = next(node for node in cloud.nodes(pool, OLD) if node["metadata"]["name"] not in used)
    cloud.aws("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=empty["spec"]["providerID"].rsplit("/", 1)[-1], ShouldDecrementDesiredCapacity=True
    )
