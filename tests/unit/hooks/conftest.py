"""A place to act in: moto's AWS in this process and a cluster in memory."""

import sys

import pytest

from pulumi_nodepools.cluster import asking, lease
from tests.unit.aws.conftest import make_group, session  # noqa: F401 - fixtures
from tests.unit.hooks.draining_case import world  # noqa: F401 - fixture
from tests.unit.memory_cluster import MemoryCluster


@pytest.fixture
def cluster():
    return MemoryCluster()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """An API server that is away in these tests does not come back by itself."""
    monkeypatch.setattr(asking, "PATIENCE", 0.0)


@pytest.fixture
def flaky(cluster, monkeypatch):
    """Begins a time in which the API server refuses every request once; waiting takes no time."""

    def begin():
        monkeypatch.setattr(asking, "PATIENCE", 60.0)
        monkeypatch.setattr(asking, "pause", lambda _seconds: None)
        monkeypatch.setattr(lease, "pause", lambda _seconds: None)
        cluster.flaky = True

    return begin


@pytest.fixture(autouse=True)
def _whole_tracebacks():
    """An expected failure cuts tracebacks for the whole process, and the SDK reads them where resources are made."""
    yield
    vars(sys).pop("tracebacklimit", None)
