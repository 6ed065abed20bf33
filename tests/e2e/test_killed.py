"""Pulumi, or the plugin in which its hooks run, is killed at every boundary of a replacement, twice, and run again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.engine import Project
from tests.e2e.boundaries import PROMOTION, REMOVAL, Boundary
from tests.e2e.record import uninterrupted
from tests.e2e.rolling import Roll, promoted, removed
from tests.engine_case import OLD, Cloud

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(500)]


@pytest.fixture
def make_roll(cloud: Cloud, make_project: Callable[..., Project], tmp_path: Path) -> Iterator[Callable[..., Roll]]:
    made: list[Roll] = []

    def make(pool: str, *, removes: bool = False) -> Roll:
        roll = Roll(cloud, make_project(pool), pool, tmp_path)
        made.append(roll)
        roll.begin(removes=removes)
        return roll

    yield make
    for roll in made:
        roll.end()


def _check(cloud: Cloud, roll: Roll, *, removes: bool) -> None:
    cloud.until(lambda: not removes or not cloud.nodes(roll.pool, OLD))
    assert roll.left() == (removed if removes else promoted)(roll.pool)
    roll.check_once()
    roll.project.up("--skip-preview", "--expect-no-changes").expect()


@pytest.mark.parametrize("removes", [False, True], ids=["promotion", "removal"])
def test_a_replacement_that_nobody_disturbs(cloud: Cloud, make_roll: Callable[..., Roll], removes: bool) -> None:
    roll = make_roll("calm", removes=removes)
    with uninterrupted(cloud, roll.pool, f"undisturbed-{'removal' if removes else 'promotion'}"):
        roll.resume()
    _check(cloud, roll, removes=removes)


@pytest.mark.parametrize("boundary", PROMOTION + REMOVAL, ids=lambda boundary: boundary.name)
def test_killed_twice_at_a_boundary(cloud: Cloud, make_roll: Callable[..., Roll], boundary: Boundary) -> None:
    roll = make_roll(boundary.name, removes=boundary.removes)
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
    _check(cloud, roll, removes=boundary.removes)
