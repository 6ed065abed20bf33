"""The old version is scaled while it is replaced: the new one is never smaller, and what came late is drained too."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pulumi_nodepools.cluster.record import PoolRecord
from sandbox.engine import Project
from tests.e2e.boundaries import evicting
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud
from tests.e2e.record import uninterrupted
from tests.e2e.rolling import Roll
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


def test_a_node_that_joins_in_the_middle_of_the_drain_is_made_up_for_and_drained(
    cloud: Cloud, make_roll: Callable[..., Roll]
) -> None:
    roll = make_roll("late")
    with uninterrupted(cloud, "late", "joined-in-the-drain") as record:
        engine, gate = roll.start_until(evicting(roll.journal, after=1))
        _launch_against_the_freeze(cloud, "late", 3)
        cloud.until(lambda: len(cloud.nodes("late", OLD)) == 3 and cloud.schedulable("late", OLD) == 0)
        gate.decide(deliver=True)
        engine.wait(180).expect()
        stands_by(cloud, "late", OLD, 3)
        serves(cloud, "late", NEW, app=roll.app, nodes=3)
        assert sorted(roll.journal.evicted()) == roll.pods
        assert len(set(roll.journal.cordoned())) == 3
        assert record.ledger.lowest_ready() >= 2
        roll.project.up("--skip-preview", "--expect-no-changes").expect()


def _launch_against_the_freeze(cloud: Cloud, pool: str, size: int) -> None:
    """What somebody may do by hand to a group whose drain has frozen it."""
    scaling = cloud.aws("autoscaling")
    scaling.resume_processes(**_group(pool, OLD), ScalingProcesses=["Launch"])
    scaling.update_auto_scaling_group(**_group(pool, OLD), MaxSize=size, DesiredCapacity=size)
