"""One sandbox for all end-to-end tests; each test has its own stack, its own pools and its own node names.

Long scenarios run as a sample, so that the tier fits a pull request: `FULL=1` runs all, `E2E_SEED` chooses others.
"""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from sandbox.engine import Project
from tests.e2e.boundaries import Old
from tests.e2e.rolling import Roll
from tests.engine_case import BAD_SPEC, NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud, activate, projects, running_cloud

__all__ = ["BAD_SPEC", "NEW", "NEW_SPEC", "OLD", "OLD_SPEC", "Cloud", "activate"]


SAMPLE = 3
SEED = os.environ.get("E2E_SEED", "1")


def sampled(names: Sequence[str], seed: str, count: int = SAMPLE) -> set[str]:
    """The same `count` of the scenarios for the same seed, in whatever order they come; of one with cases, one case."""
    cases: dict[str, list[str]] = {}
    for name in sorted(names):
        cases.setdefault(name.partition("[")[0], []).append(name)
    chance = random.Random(seed)
    return {chance.choice(cases[scenario]) for scenario in chance.sample(list(cases), min(count, len(cases)))}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    scenarios = [item for item in items if item.get_closest_marker("scenario")]
    # Whoever names a file or a test means it.
    if os.environ.get("FULL") or len(scenarios) <= SAMPLE or any("::" in arg for arg in config.args):
        return
    chosen = sampled([item.nodeid for item in scenarios], SEED)
    left = [item for item in scenarios if item.nodeid not in chosen]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    with running_cloud("e2e") as cloud:
        yield cloud


@pytest.fixture
def make_project(cloud: Cloud, tmp_path: Path) -> Iterator[Callable[..., Project]]:
    with projects(cloud, tmp_path) as make:
        yield make


@pytest.fixture
def make_roll(cloud: Cloud, make_project: Callable[..., Project], tmp_path: Path) -> Iterator[Callable[..., Roll]]:
    made: list[Roll] = []

    def make(pool: str, old: Old = "standby") -> Roll:
        roll = Roll(cloud, make_project(pool), pool, tmp_path)
        made.append(roll)
        roll.begin(old)
        return roll

    yield make
    for roll in made:
        roll.end()
