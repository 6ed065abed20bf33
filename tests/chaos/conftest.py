"""One sandbox for all chaos tests, and a drain that stands still in its middle until a test lets it go on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.engine import Project
from tests.chaos.case import Pool
from tests.engine_case import Cloud, projects, running_cloud


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    with running_cloud("chaos") as cloud:
        yield cloud


@pytest.fixture
def make_project(cloud: Cloud, tmp_path: Path) -> Iterator[Callable[..., Project]]:
    with projects(cloud, tmp_path, administrators=True) as make:
        yield make


@pytest.fixture
def make_pool(cloud: Cloud, make_project: Callable[..., Project]) -> Iterator[Callable[..., Pool]]:
    """Builds a pool of two nodes at the old version, created, with its workloads running."""
    made: list[Pool] = []

    def make(name: str, *, patience: str = "120s") -> Pool:
        pool = Pool(name, cloud, make_project(name), patience)
        made.append(pool)
        pool.begin()
        return pool

    yield make
    for pool in made:
        pool.end()
