"""For every tier: a test session that is told to end ends what its fixtures started."""

import pytest

from sandbox.signals import catch_terminate


def pytest_configure(config: pytest.Config) -> None:
    catch_terminate()
