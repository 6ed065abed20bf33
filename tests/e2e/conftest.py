"""One sandbox for all end-to-end tests; each test has its own stack, its own pools and its own node names."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.engine import Project
from tests.engine_case import BAD_SPEC, NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud, activate, projects, running_cloud

__all__ = ["BAD_SPEC", "NEW", "NEW_SPEC", "OLD", "OLD_SPEC", "Cloud", "activate"]


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    with running_cloud("e2e") as cloud:
        yield cloud


@pytest.fixture
def make_project(cloud: Cloud, tmp_path: Path) -> Iterator[Callable[..., Project]]:
    with projects(cloud, tmp_path) as make:
        yield make
