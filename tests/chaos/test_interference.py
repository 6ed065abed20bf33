"""Second runs, changed minds and other hands on the same pool, between two `up` and in the middle of one."""

import pytest

from pulumi_nodepools import names
from tests.chaos.case import Pool
from tests.engine_case import NEW, NEW_SPEC, OLD, Cloud
from tests.started import copied_stack

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]


def _resize(pool: Pool, version: str, **sizes: int) -> None:
    name = pool.cloud.groups(pool.name)[version]["AutoScalingGroupName"]
    pool.cloud.aws("autoscaling").update_auto_scaling_group(AutoScalingGroupName=name, **sizes)
    wanted = sizes["DesiredCapacity"]
    pool.cloud.until(lambda: pool.ready(version) == wanted == len(pool.cloud.nodes(pool.name, version)), 90)


def test_a_second_run_is_refused(cloud: Cloud, make_pool, tmp_path) -> None:
    pool = make_pool("shared")
    engine = pool.up_into_the_drain()
    other = copied_stack(pool.project, tmp_path)
    refused = other.up("--skip-preview").fails()
    assert f"holds the Lease {names.RECORD_NAMESPACE}/{names.record_name(pool.name)} and is alive" in refused.output
    assert "Traceback" not in refused.output
    assert engine.process.poll() is None, "the first run goes on"
    assert pool.home(pool.held)
    pool.release()
    engine.wait(180).expect()
    pool.check_replaced()


def test_refresh_and_rollback_after_a_failed_drain(cloud: Cloud, make_pool) -> None:
    pool = make_pool("undecided", patience="15s")
    held = pool.uids(pool.held)
    pool.list_new()
    failed = pool.project.up("--skip-preview").fails()
    assert pool.held in failed.output
    assert pool.frozen()
    again = pool.project.up("--skip-preview", "--refresh").fails()
    assert pool.held in again.output
    assert pool.frozen(), "a refresh must not undo the freeze"
    assert pool.cordoned(OLD) == 2

    pool.list_old()
    pool.project.up("--skip-preview").expect()
    groups = cloud.groups(pool.name)
    assert set(groups) == {OLD}
    assert (groups[OLD]["MinSize"], groups[OLD]["MaxSize"], groups[OLD]["DesiredCapacity"]) == (1, 6, 2)
    assert groups[OLD]["SuspendedProcesses"] == []
    assert cloud.schedulable(pool.name, OLD) == 2
    assert not [taint for node in cloud.nodes(pool.name, OLD) for taint in node["spec"].get("taints") or []]
    cloud.until(lambda: pool.home(pool.flow) and pool.home(pool.held) and not cloud.nodes(pool.name, NEW))
    assert pool.uids(pool.held) == held, "what never moved was not touched"
    pool.check_unlocked(OLD)
    pool.project.up("--skip-preview", "--expect-no-changes").expect()


def test_a_new_version_shrunk_by_hand_stops_the_drain(cloud: Cloud, make_pool) -> None:
    pool = make_pool("thinned", patience="15s")
    pool.list_new()
    pool.project.up("--skip-preview").fails()
    pool.release()
    held = pool.uids(pool.held)
    _resize(pool, NEW, MinSize=1, DesiredCapacity=1)
    refused = pool.project.up("--skip-preview").fails()
    assert "has 1 ready and schedulable nodes, but 2 nodes are to be drained" in refused.output
    assert "Traceback" not in refused.output
    assert cloud.groups(pool.name)[OLD]["DesiredCapacity"] == 2
    assert pool.uids(pool.held) == held
    _resize(pool, NEW, DesiredCapacity=2)
    pool.project.up("--skip-preview").expect()
    pool.check_replaced(once=False)


def test_no_target_drains_what_serves(cloud: Cloud, make_pool) -> None:
    pool = make_pool("targeted")
    pool.release()
    (hook,) = (urn for urn in pool.project.urns() if urn.endswith(f"::{pool.name}-{OLD}-drain"))
    pool.list_new()
    for command, flags in (
        (pool.project.up, ["--target", hook]),
        (pool.project.up, ["--target", hook, "--target-dependents"]),
        (pool.project.destroy, ["--target", hook]),
        # The gate goes too, and with it the word of who serves: now the room for the pods decides.
        (pool.project.destroy, ["--target", hook, "--target-dependents"]),
    ):
        run = command("--skip-preview", *flags)
        assert "Traceback" not in run.output
        assert cloud.schedulable(pool.name, OLD) == 2, run.output
        assert cloud.groups(pool.name)[OLD]["SuspendedProcesses"] == []
        assert hook in pool.project.urns(), "the engine still knows whom to drain"
    pool.project.up("--skip-preview").expect()
    pool.check_replaced()


def test_a_new_version_follows_the_old_one_that_was_scaled_by_hand(cloud: Cloud, make_pool) -> None:
    pool = make_pool("grown")
    pool.release()
    pool.list_new()
    cloud.switch_images({NEW_SPEC["imageId"]: {"fault": "argument-not-applied"}})
    pool.project.up("--skip-preview").fails()
    assert cloud.groups(pool.name)[NEW]["DesiredCapacity"] == 2
    cloud.switch_images({})
    _resize(pool, OLD, DesiredCapacity=3)
    pool.project.up("--skip-preview").expect()
    pool.check_replaced(size=3)
