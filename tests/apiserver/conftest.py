"""One control plane per test module: budgets, nodes and policies of one module must not meet those of another.

That is also what lets several modules run at the same time, by the workers of pytest-xdist.
"""

from collections.abc import Iterator

import pytest

from sandbox import binaries, control_plane
from sandbox.control_plane import ControlPlane
from tests.apiserver.drain_case import Cluster


@pytest.fixture(scope="session")
def ports(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each worker chooses from a share of its own, so that no port is taken by another between choice and use."""
    worker = getattr(request.config, "workerinput", None)
    with pytest.MonkeyPatch.context() as patch:
        if worker:
            number = int(worker["workerid"].removeprefix("gw"))
            patch.setattr(control_plane, "PORTS", control_plane.PORTS[number :: worker["workercount"]])
        yield


@pytest.fixture(scope="module")
def plane(ports: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    running = ControlPlane(tmp_path_factory.mktemp("plane"), binaries.locate().paths, audit=True)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def cluster(plane: ControlPlane) -> Cluster:
    return Cluster(plane)


@pytest.fixture(autouse=True)
def nothing_forbidden_was_asked(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test: what no drain may ever ask, by the server's own log."""
    yield
    if "cluster" in request.fixturenames:
        assert request.getfixturevalue("cluster").requests.violations() == []
