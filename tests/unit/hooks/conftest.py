"""A place to act in: moto's AWS in this process and a cluster in memory."""

import pytest

from tests.unit.aws.conftest import make_group, session  # noqa: F401 - fixtures
from tests.unit.memory_cluster import MemoryCluster


@pytest.fixture
def cluster():
    return MemoryCluster()
