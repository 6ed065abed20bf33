"""Two runs at once on one pool, and a run that is interrupted at its keyboard, once and twice."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pulumi_nodepools import names
from pulumi_nodepools.cluster.record import PoolRecord
from sandbox.processes import session_members
from tests.e2e.boundaries import Old, evicting
from tests.e2e.record import uninterrupted
from tests.e2e.rolling import Roll, undisturbed
from tests.e2e.versions import stands_by
from tests.engine_case import NEW, OLD, Cloud
from tests.started import Engine, copied_stack

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(500)]


@pytest.mark.parametrize("old", ["standby", "removed"], ids=["cutover", "hook"])
def test_a_second_run_is_refused_while_one_drains(
    cloud: Cloud, make_roll: Callable[..., Roll], tmp_path: Path, old: Old
) -> None:
    roll = make_roll("shared", old)
    with uninterrupted(cloud, roll.pool, f"two-runs-{old}"):
        engine, gate = roll.start_until(evicting(roll.journal, after=2))
        locked = roll.project.up("--skip-preview").fails().output
        assert "the stack is currently locked by 1 lock(s)" in locked
        elsewhere = copied_stack(roll.project, tmp_path / "elsewhere")
        refused = elsewhere.up("--skip-preview").fails().output
        assert f"holds the Lease {names.RECORD_NAMESPACE}/{names.record_name(roll.pool)} and is alive" in refused
        assert "Traceback" not in refused
        assert engine.process.poll() is None, "the first run goes on"
        gate.decide(deliver=True)
        engine.wait(180).expect()
    roll.check(old)


def _interrupt(cloud: Cloud, engine: Engine) -> None:
    engine.signal(signal.SIGINT)
    cloud.until(lambda: "^C received" in engine.output, 30)


def test_one_interrupt_lets_the_cutover_finish(cloud: Cloud, make_roll: Callable[..., Roll]) -> None:
    roll = make_roll("patient")
    with uninterrupted(cloud, roll.pool, "interrupted-once"):
        engine, gate = roll.start_until(evicting(roll.journal, after=2))
        _interrupt(cloud, engine)
        gate.decide(deliver=True)
        told = engine.wait(180).fails().output
        assert "one ^C lets the drain end" in told
        assert "update canceled" in told
        assert roll.left() == undisturbed(roll.pool, "standby")
        roll.resume()
    roll.check("standby")


def test_a_second_interrupt_ends_the_cutover_and_the_next_run_resumes(
    cloud: Cloud, make_roll: Callable[..., Roll]
) -> None:
    roll = make_roll("hasty")
    with uninterrupted(cloud, roll.pool, "interrupted-twice"):
        engine, gate = roll.start_until(evicting(roll.journal, after=2))
        _interrupt(cloud, engine)
        engine.signal(signal.SIGINT)
        ended = engine.wait(60)
        assert ended.code != 0
        assert "the next `pulumi up` goes on from there" in ended.output
        gate.decide(deliver=False)
        cloud.until(lambda: session_members(engine.process.pid) == [])
        stands_by(cloud, roll.pool, OLD)
        record = PoolRecord(cloud.client, roll.pool).load()
        assert (record.serving, record.pending) == (NEW, NEW)
        assert len(roll.journal.evicted()) == 2, "what did not move stays where it is"
        roll.resume()
    roll.check("standby")
