"""The life of versions with the real engine: tried, promoted, rolled back in standby, retired, removed."""

import time

import pytest

from sandbox.controllers.loop import instance_of
from tests.e2e.balancers import healthy, outsider, registered
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud
from tests.e2e.record import uninterrupted
from tests.e2e.versions import listing, serves, stands_by, up

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(500)]
CANARY = f"{NEW}-canary"


def _both(active: str, old=OLD_SPEC, new=NEW_SPEC, pool: str = "life"):
    return listing(pool, active, **{OLD: old, NEW: new})


def test_a_version_is_tried_promoted_rolled_back_promoted_again_retired_and_removed(cloud: Cloud, make_project) -> None:
    project = make_project("life")
    project.up("--skip-preview").expect()
    cloud.deployment("web", "life", replicas=2, budget={"maxUnavailable": 1})
    old, stays = {instance_of(node) for node in cloud.nodes("life", OLD)}, outsider(cloud)
    by_hand = registered(cloud, "life", {*old, stays})
    try:
        with uninterrupted(cloud, "life", "lifecycle"):
            up(project, _both(OLD, new=NEW_SPEC | {"canary": {"count": 1}}))
            (node,) = cloud.nodes("life", CANARY)
            assert {"key": "nodepools.dev/canary", "value": NEW, "effect": "NoSchedule"}.items() <= next(
                taint for taint in node["spec"]["taints"] if taint["key"] == "nodepools.dev/canary"
            ).items()
            serves(cloud, "life", OLD, app="web")

            up(project, _both(NEW))
            assert set(cloud.groups("life")) == {OLD, NEW}, "the canary's group is gone"
            serves(cloud, "life", NEW, app="web")
            stands_by(cloud, "life", OLD)
            assert healthy(cloud, by_hand) == {stays}

            up(project, _both(OLD))
            serves(cloud, "life", OLD, app="web")
            cloud.until(lambda: healthy(cloud, by_hand) == {*old, stays})
            stands_by(cloud, "life", NEW)

            up(project, _both(NEW))
            serves(cloud, "life", NEW, app="web")
            stands_by(cloud, "life", OLD)

            up(project, _both(NEW, old=OLD_SPEC | {"retired": True}))
            cloud.until(lambda: not cloud.nodes("life", OLD))
            assert cloud.groups("life")[OLD]["DesiredCapacity"] == 0
            serves(cloud, "life", NEW, app="web")

            up(project, listing("life", NEW, **{NEW: NEW_SPEC}))
            assert set(cloud.groups("life")) == {NEW}
            serves(cloud, "life", NEW, app="web")
    finally:
        cloud.remove("web")


def test_fourteen_nodes_that_stand_by_serve_again_before_anything_else_happens(cloud: Cloud, make_project) -> None:
    """How long that takes is written down and not judged here: the machine may be busy."""
    project = make_project("swift")
    project.edit(lambda config: config["nodepools:pools"]["swift"].update(size={"min": 3, "max": 20, "initial": 14}))
    project.edit(lambda config: config["nodepools:pools"]["swift"]["drain"].update(batchSize="50%"))
    project.up("--skip-preview").expect()
    cloud.deployment("swift", "swift", replicas=14, budget={"maxUnavailable": "25%"})
    try:
        up(project, _both(NEW, pool="swift"))
        stands_by(cloud, "swift", OLD, 14)
        with uninterrupted(cloud, "swift", "rollback-of-14") as record:
            began = time.time()
            up(project, _both(OLD, pool="swift"))
            serves(cloud, "swift", OLD, app="swift", nodes=14, limits=(3, 20))
            stands_by(cloud, "swift", NEW, 14)
            back, cordoned = record.first(OLD, 14, began), record.first(NEW, 0, began)
            record.measured["secondsFromCommandUntil14Serve"] = round(back - began, 1)
            assert back < cordoned, "the version that comes back serves before the other one leaves"
    finally:
        cloud.remove("swift")
