"""A whole roll of a pool behind load balancers, with volumes, by the real engine: not one request is lost."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_nodepools import names
from pulumi_nodepools.errors import ApiError
from sandbox.aws import CLOCK
from sandbox.aws.balancers import TAIL
from sandbox.controllers.attachments import ATTACHMENTS, AttachmentController
from sandbox.controllers.balancers import BalancerController, Binding
from sandbox.engine import Config
from sandbox.story import apply
from sandbox.traffic import Route
from tests.e2e.balancers import healthy, target_group
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, Cloud, activate
from tests.e2e.record import uninterrupted

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
POOL = "edge"


@pytest.fixture
def workloads(cloud: Cloud) -> Iterator[None]:
    """Those of traffic.yaml; gone afterwards, with their volumes."""
    apply.apply(cloud.client, Path(__file__).with_name("traffic.yaml"))
    yield
    volumes = [f"/api/v1/persistentvolumes/traffic-db-{each}" for each in (0, 1)]
    attachments = [f"{ATTACHMENTS}/csi-traffic-db-{each}" for each in (0, 1)]
    # The budgets first: without their pods they would be interruptions in the record of whatever test is next.
    budgets = "/apis/policy/v1/namespaces/traffic/poddisruptionbudgets"
    for path in (budgets, "/api/v1/namespaces/traffic", *volumes, *attachments):
        with contextlib.suppress(ApiError):
            cloud.client.delete(path)


def behind(arn: str):
    """The edit that attaches the pool's groups, for three nodes; waits are those of the sandbox's clock."""

    def change(config: Config) -> None:
        pool = config["nodepools:pools"][POOL]
        pool.update(size={"min": 3, "max": 6, "initial": 3}, targetGroupArns=[arn])
        pool["drain"].update(
            nlbSettle=f"{TAIL / CLOCK:g}s",
            batchSize=2,
            timeout="60s",
            totalTimeout="200s",
            singleReplicas="surge",
        )

    return change


def replicas(cloud: Cloud) -> dict[str, int]:
    """What each workload of the test wants."""
    kinds = ("deployments", "statefulsets")
    items = [each for kind in kinds for each in cloud.client.get(f"/apis/apps/v1/namespaces/traffic/{kind}")["items"]]
    return {each["metadata"]["name"]: each["spec"]["replicas"] for each in items}


def test_a_roll_behind_load_balancers_with_volumes_loses_no_request(cloud: Cloud, make_project, workloads) -> None:
    web = Route("traffic/web", target_group(cloud, "web", "HTTP", local=False))
    ingress = Route("traffic/ingress", target_group(cloud, "ingress", "TCP", local=True), local=True)
    routes = [web, ingress, Route("traffic/db"), Route("traffic/single")]
    project = make_project(POOL)
    project.edit(behind(web.arn))
    bindings = [Binding(ingress, {names.POOL_LABEL: POOL})]
    balancers = BalancerController(cloud.client, cloud.aws("elbv2"), cloud.sandbox.aws_endpoint, bindings)
    with balancers, AttachmentController(cloud.client) as volumes:
        project.up("--skip-preview").expect()
        apply.wait_until_serving(cloud.client)
        apply.wait(
            lambda: [] if all(len(healthy(cloud, route.arn)) == 3 for route in (web, ingress)) else ["healthy targets"],
            60,
        )
        wanted = replicas(cloud)
        with uninterrupted(cloud, POOL, "traffic", routes):
            project.edit(activate(POOL, NEW, NEW_SPEC))
            project.up("--skip-preview").expect()
        assert set(cloud.groups(POOL)) == {NEW}
        assert not cloud.nodes(POOL, OLD)
        assert replicas(cloud) == wanted
        assert not volumes.abandoned, "no instance ended with a volume"
        new = {node["metadata"]["name"] for node in cloud.nodes(POOL, NEW)}
        attached = cloud.client.get(ATTACHMENTS)["items"]
        assert {item["spec"]["nodeName"] for item in attached} <= new
        assert len(attached) == 2
