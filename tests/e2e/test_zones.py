"""A pool with a group in each zone and a volume in one: no version without that zone, and each zone keeps its size."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_nodepools.errors import ApiError
from sandbox.engine import Config
from sandbox.story import apply
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, Cloud, activate
from tests.e2e.record import uninterrupted

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(300)]
POOL, ZONE = "tied", "us-west-2c"


@pytest.fixture
def store(cloud: Cloud) -> Iterator[None]:
    """Gone afterwards, with its volume."""
    yield
    for path in ("/api/v1/namespaces/tied", "/api/v1/persistentvolumes/tied-store-0"):
        with contextlib.suppress(ApiError):
            cloud.client.delete(path)


def _zone_of_the_store(cloud: Cloud) -> tuple[str, str]:
    """Zone and version of the node that it runs on."""
    pod = cloud.client.get("/api/v1/namespaces/tied/pods/store-0")
    labels = cloud.client.get(f"/api/v1/nodes/{pod['spec']['nodeName']}")["metadata"]["labels"]
    return labels["topology.kubernetes.io/zone"], labels["nodepools.dev/version"]


def test_a_volume_keeps_its_zone_and_each_zone_as_many_nodes_as_it_had(cloud: Cloud, make_project, store) -> None:
    project = make_project(POOL)
    subnets: list[str] = []

    def zoned(config: Config) -> None:
        pool = config["nodepools:pools"][POOL]
        subnets.extend(pool["subnetIds"])
        pool.update(size={"min": 3, "max": 9, "initial": 3}, zones="each", differences=["subnetIds"])

    project.edit(zoned)
    project.up("--skip-preview").expect()
    apply.apply(cloud.client, Path(__file__).with_name("zonal.yaml"))
    apply.wait_until_serving(cloud.client)
    assert _zone_of_the_store(cloud) == (ZONE, OLD)
    with uninterrupted(cloud, POOL, "zonal-volume"):
        project.edit(activate(POOL, NEW, {**NEW_SPEC, "subnetIds": subnets[:2]}))
        refused = project.up("--skip-preview").fails().output
        assert f"volume tied-store-0 is in {ZONE}, and its subnets are in us-west-2a, us-west-2b" in refused
        assert all(name.startswith(OLD) for name in cloud.groups(POOL)), "no instance was paid for"

        cloud.aws("autoscaling").set_desired_capacity(
            AutoScalingGroupName=f"prod-{POOL}-{OLD}-{ZONE}", DesiredCapacity=2
        )
        cloud.until(lambda: cloud.schedulable(POOL, OLD) == 4)
        project.edit(activate(POOL, NEW, NEW_SPEC))
        project.up("--skip-preview").expect()
        sizes = {name: group["DesiredCapacity"] for name, group in cloud.groups(POOL).items()}
        assert sizes == {f"{NEW}-us-west-2a": 1, f"{NEW}-us-west-2b": 1, f"{NEW}-{ZONE}": 2}, "not one more or less"
        assert _zone_of_the_store(cloud) == (ZONE, NEW)
