"""Pulumi or its plugin is killed or interrupted in the middle of a drain; the next `up` brings it to the same end."""

import os
import signal

import pytest

from sandbox.processes import session_members, start_time
from tests.chaos.case import Pool
from tests.engine_case import NEW, OLD, Cloud
from tests.started import Engine

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]


def test_killed_engine_twice(cloud: Cloud, make_pool) -> None:
    pool = make_pool("slain")
    engine = pool.up_into_the_drain()
    held = pool.uids(pool.held)
    _slay(pool, engine)
    locked = pool.project.up("--skip-preview").fails()
    assert "pulumi cancel" in locked.output
    pool.project.run("cancel", "--stack", "prod", "--yes").expect()

    again = pool.start_up()
    cloud.until(lambda: pool.held in again.output or again.process.poll() is not None, 120)
    _slay(pool, again)
    pool.release()
    assert pool.uids(pool.held) == held, "an orphan evicts nothing more"
    pool.project.run("cancel", "--stack", "prod", "--yes").expect()
    pool.project.up("--skip-preview").expect()
    pool.check_replaced()


def _slay(pool: Pool, engine: Engine) -> None:
    """Kill pulumi alone in the middle of its drain, and see that its orphans give up and go."""
    assert pool.lease_holder() != "", engine.output
    engine.signal(signal.SIGKILL)
    engine.process.wait(10)
    pool.cloud.until(lambda: pool.lease_holder() == "", 60)
    pool.cloud.until(lambda: session_members(engine.process.pid) == [], 60)
    assert pool.frozen()


def test_killed_plugin(cloud: Cloud, make_pool) -> None:
    pool = make_pool("unplugged")
    engine = pool.up_into_the_drain()
    os.kill(engine.plugin(), signal.SIGKILL)
    failed = engine.wait().fails()
    assert f"{pool.name}-{OLD}-drain" in failed.output
    assert set(cloud.groups(pool.name)) == {OLD, NEW}, "the group is spared"
    assert pool.frozen()
    pool.release()
    pool.project.up("--skip-preview").expect()
    pool.check_replaced()


def test_one_interrupt_lets_the_drain_finish(cloud: Cloud, make_pool) -> None:
    pool = make_pool("patient")
    engine = pool.up_into_the_drain()
    engine.signal(signal.SIGINT)
    cloud.until(lambda: "cancel" in engine.output.lower() or "interrupt" in engine.output.lower(), 30)
    pool.release()
    engine.wait(180).fails()
    cloud.until(lambda: pool.moved(pool.held), 30)
    assert pool.lease_holder() == ""
    pool.project.up("--skip-preview").expect()
    pool.check_replaced()


def test_a_second_interrupt_ends_the_drain_and_the_next_run_resumes(cloud: Cloud, make_pool) -> None:
    pool = make_pool("hasty")
    engine = pool.up_into_the_drain()
    plugin = engine.plugin()
    engine.signal(signal.SIGINT)
    cloud.until(lambda: "cancel" in engine.output.lower() or "interrupt" in engine.output.lower(), 30)
    engine.signal(signal.SIGINT)
    assert engine.wait(60).code != 0
    cloud.until(lambda: start_time(plugin) is None, 60)
    cloud.until(lambda: session_members(engine.process.pid) == [], 60)
    assert pool.frozen()
    assert pool.home(pool.held)
    pool.release()
    pool.project.up("--skip-preview").expect()
    pool.check_replaced()
