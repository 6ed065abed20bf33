"""The plain case and its failures, with the real engine: what runs when, what is spared, what resumes."""

import re

import pytest

from pulumi_nodepools import names
from tests.e2e.conftest import BAD_SPEC, NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud, activate

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def _position(output: str, pattern: str) -> int:
    match = re.search(pattern, output)
    assert match, f"{pattern!r} is not in:\n{output}"
    return match.start()


def _acknowledge(pool: str, entry: str):
    def change(config) -> None:
        config["nodepools:pools"][pool]["drain"]["acknowledge"] = [entry]

    return change


def test_a_blocked_drain_spares_the_group_and_the_next_up_resumes(cloud: Cloud, make_project) -> None:
    project = make_project("web")
    project.up("--skip-preview").expect()
    assert cloud.schedulable("web", OLD) == 2
    cloud.deployment("stuck", "web", replicas=2, budget={"maxUnavailable": 0})
    try:
        project.edit(activate("web", NEW, NEW_SPEC))
        refused = project.up("--skip-preview").fails()
        assert "no new instance was made" in refused.output
        assert "pdb-impossible" in refused.output
        assert set(cloud.groups("web")) == {OLD}
        project.edit(_acknowledge("web", "pdb-impossible/default/stuck"))
        blocked = project.up("--skip-preview").fails()
        assert "stuck" in blocked.output
        assert "maxUnavailable" in blocked.output
        assert "Traceback" not in blocked.output
        assert set(cloud.groups("web")) == {OLD, NEW}, "the group of a blocked drain is spared"
        assert cloud.groups("web")[OLD]["DesiredCapacity"] == 2
        assert len(cloud.pods("stuck")) == 2

        refreshed = project.run("refresh", "--stack", "prod", "--yes", "--non-interactive", "--skip-preview")
        refreshed.expect()
        old = cloud.groups("web")[OLD]
        assert old["MinSize"] == old["MaxSize"] == 2, "a refresh must not undo the freeze"
        assert {item["ProcessName"] for item in old["SuspendedProcesses"]} >= {"Launch", "AZRebalance"}

        cloud.client.delete("/apis/policy/v1/namespaces/default/poddisruptionbudgets/stuck")
        resumed = project.up("--skip-preview").expect()
        drained = _position(resumed.output, r"DrainHook web-7\.6\.1810-drain deleted")
        assert drained < _position(resumed.output, r"Group web-7\.6\.1810-group deleted")
        assert _position(resumed.output, r"Group web-7\.6\.1810-group deleted") < _position(
            resumed.output, r"LaunchTemplate web-7\.6\.1810-template deleted"
        )
        assert set(cloud.groups("web")) == {NEW}
        assert not cloud.nodes("web", OLD)
        assert {pod["spec"]["nodeName"] for pod in cloud.pods("stuck")} <= {
            node["metadata"]["name"] for node in cloud.nodes("web", NEW)
        }
        project.up("--skip-preview", "--expect-no-changes").expect()
    finally:
        cloud.remove("stuck")


def test_a_bad_image_leaves_the_old_version_serving_and_thawed(cloud: Cloud, make_project) -> None:
    project = make_project("bad")
    project.up("--skip-preview").expect()
    cloud.switch_images({BAD_SPEC["imageId"]: {"fault": "argument-not-applied"}})
    project.edit(activate("bad", NEW, BAD_SPEC))

    for flags in (["--skip-preview"], ["--skip-preview", "--continue-on-error"]):
        failed = project.up(*flags).fails()
        assert "abandon" in failed.output.lower()
        assert re.search(r"\bi-[0-9a-f]{8,}", failed.output), "the gate names the instances"
        assert "Traceback" not in failed.output
        blue = cloud.groups("bad")[OLD]
        assert (blue["MinSize"], blue["MaxSize"], blue["SuspendedProcesses"]) == (1, 6, [])
        assert cloud.schedulable("bad", OLD) == 2
        green = cloud.groups("bad")[NEW]
        assert "Launch" in {item["ProcessName"] for item in green["SuspendedProcesses"]}, "the relaunch loop is stopped"
        assert not cloud.nodes("bad", NEW), "nothing joined that did not prove itself"

    project.edit(activate("bad", OLD, OLD_SPEC))
    project.up("--skip-preview").expect()
    assert set(cloud.groups("bad")) == {OLD}
    assert cloud.schedulable("bad", OLD) == 2


def test_two_pools_leave_in_one_up_one_after_the_other_in_their_order(cloud: Cloud, make_project) -> None:
    project = make_project("one", "two", "stays")
    # The engine begins with what was made last, `two`.
    project.edit(lambda config: config["nodepools:pools"]["two"].setdefault("drain", {}).update(poolOrder=1))
    project.up("--skip-preview").expect()
    # Its pods run on all three pools, under one budget.
    cloud.deployment("shared", "any", replicas=6, selector={names.VERSION_LABEL: OLD}, budget={"maxUnavailable": 1})

    def drop(config) -> None:
        for pool in ("one", "two"):
            del config["nodepools:pools"][pool]

    project.edit(drop)
    try:
        removed = project.up("--skip-preview").expect()
    finally:
        cloud.remove("shared")
    begins, ends = {}, {}
    for pool in ("one", "two"):
        gone = _position(removed.output, rf"DrainHook {pool}-7\.6\.1810-drain deleted")
        assert gone < _position(removed.output, rf"Group {pool}-7\.6\.1810-group deleted")
        assert not cloud.groups(pool)
        assert not cloud.nodes(pool)
        begins[pool] = _position(removed.output, rf"{pool} 7\.6\.1810: \S+ frozen at 2 nodes")
        ends[pool] = _position(removed.output, rf"{pool} 7\.6\.1810: 2 nodes drained")
    assert ends["one"] < begins["two"], "the second drain begins when the first has ended"
    assert re.search(r"two 7\.6\.1810: waits for the drain of (one 7\.6\.1810|pools with a lower)", removed.output)
    assert cloud.schedulable("stays", OLD) == 2
