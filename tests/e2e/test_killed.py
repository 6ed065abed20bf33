"""Pulumi, or the plugin in which its hooks run, is killed at every boundary of a replacement, twice, and run again."""

from collections.abc import Callable

import pytest

from tests.e2e.boundaries import PROMOTION, REMOVAL, Boundary, Old
from tests.e2e.record import uninterrupted
from tests.e2e.rolling import Roll
from tests.engine_case import NEW, Cloud

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(500)]


@pytest.mark.parametrize("old", ["standby", "retired", "removed"])
def test_a_replacement_that_nobody_disturbs(cloud: Cloud, make_roll: Callable[..., Roll], old: Old) -> None:
    roll = make_roll("calm", old)
    with uninterrupted(cloud, roll.pool, f"undisturbed-{old}"):
        roll.resume()
    roll.check(old)


@pytest.mark.parametrize("boundary", PROMOTION + REMOVAL, ids=lambda boundary: boundary.name)
def test_killed_twice_at_a_boundary(cloud: Cloud, make_roll: Callable[..., Roll], boundary: Boundary) -> None:
    roll = make_roll(boundary.name, boundary.old)
    begins = boundary.holds(roll.pool, roll.journal)
    with uninterrupted(cloud, roll.pool, f"killed-at-{boundary.name}"):
        for _ in range(2):
            roll.kill_plugin(begins)
        roll.kill_engine(begins)
        roll.cancel()
        # What was on its way arrives after all, and the orphan may go on until it finds its engine gone.
        roll.kill_engine(begins, deliver=not boundary.orphans)
        roll.cancel()
        roll.resume()
    roll.check(boundary.old)


def test_a_group_that_no_state_knows_of_is_named_and_made_anew_once_it_is_deleted(
    cloud: Cloud, make_roll: Callable[..., Roll]
) -> None:
    roll = make_roll("unknown")
    (launched,) = (boundary for boundary in PROMOTION if boundary.orphans)
    autoscaling = cloud.aws("autoscaling")
    with uninterrupted(cloud, roll.pool, "pending-create"):
        roll.kill_engine(launched.holds(roll.pool, roll.journal), deliver=True)
        roll.cancel()
        name = cloud.groups(roll.pool)[NEW]["AutoScalingGroupName"]
        refused = roll.project.up("--skip-preview").fails().output
        assert "interrupted while creating" in refused
        assert f"A group with the name {name} already exists" in refused
        # As the runbook says.
        autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
        cloud.until(lambda: NEW not in cloud.groups(roll.pool) and not cloud.nodes(roll.pool, NEW))
        refresh = ("refresh", "--stack", "prod", "--yes", "--non-interactive", "--skip-preview")
        roll.project.run(*refresh, "--clear-pending-creates").expect()
        assert "pending operations" not in roll.resume()
    roll.check("standby")
