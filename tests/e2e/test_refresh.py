"""A refresh reads what a freeze and other hands have made of the groups: neither is undone, and nothing is lost."""

import pytest

from tests.e2e.conftest import NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud
from tests.e2e.record import uninterrupted
from tests.e2e.versions import listing, serves, stands_by, up

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(500)]
BOTH = {OLD: OLD_SPEC, NEW: NEW_SPEC}


def test_a_refresh_while_groups_are_frozen_or_were_scaled_by_hand_undoes_nothing(cloud: Cloud, make_project) -> None:
    project = make_project("fresh")
    project.up("--skip-preview").expect()
    cloud.deployment("web", "fresh", replicas=2, budget={"maxUnavailable": 1})
    try:
        with uninterrupted(cloud, "fresh", "refresh-while-frozen"):
            up(project, listing("fresh", NEW, **BOTH))
            stands_by(cloud, "fresh", OLD)
            project.run("refresh", "--stack", "prod", "--yes", "--non-interactive", "--skip-preview").expect()
            stands_by(cloud, "fresh", OLD)
            project.up("--skip-preview", "--refresh", "--expect-no-changes").expect()
            stands_by(cloud, "fresh", OLD)
            serves(cloud, "fresh", NEW, app="web")

            _scale(cloud, f"prod-fresh-{NEW}", 3)
            cloud.until(lambda: cloud.schedulable("fresh", NEW) == 3)
            project.up("--skip-preview", "--refresh", "--expect-no-changes").expect()
            serves(cloud, "fresh", NEW, app="web", nodes=3)

            # What the state now holds of the frozen group must not become its limits when it comes back.
            project.edit(listing("fresh", OLD, **BOTH))
            project.up("--skip-preview", "--refresh").expect()
            serves(cloud, "fresh", OLD, app="web", nodes=3)
            stands_by(cloud, "fresh", NEW, 3)
            project.up("--skip-preview", "--refresh", "--expect-no-changes").expect()

            up(project, listing("fresh", OLD, **{OLD: OLD_SPEC}))
            assert set(cloud.groups("fresh")) == {OLD}
            serves(cloud, "fresh", OLD, app="web", nodes=3)
    finally:
        cloud.remove("web")


def _scale(cloud: Cloud, group: str, nodes: int) -> None:
    cloud.aws("autoscaling").set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=nodes)
