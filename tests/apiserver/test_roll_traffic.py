"""Whole rolls behind load balancers: not one request is lost, and each step that is left out loses some."""

from functools import partial

import pytest

from pulumi_nodepools.aws.leaving import Leaving
from pulumi_nodepools.cluster.exclusion import label_only
from pulumi_nodepools.errors import AccessDeniedError
from pulumi_nodepools.hooks.leaving import leave
from sandbox.aws import CLOCK
from sandbox.aws.balancers import TAIL
from tests.apiserver.traffic_case import Stage, rolled
from tests.sandbox.aws_case import running_aws

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    with running_aws(tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@pytest.fixture
def stage(cluster, aws, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return Stage(cluster, aws)


def drained(stage, old, *, way, **settings):
    """Drain the old nodes, one by one unless told otherwise; they leave their load balancers by `way`."""
    report = stage.cluster.drain(f"{stage.name}-old", leave=way, **{"batch_size": 1} | settings)
    assert report.outcome == "drained"
    return old


def leaving(stage, old, *, settle=TAIL / CLOCK, successors=True):
    """As the hooks do; without `successors` as if no version were to take over."""
    going = frozenset(stage.instances[name] for name in old) if successors else None
    return partial(leave, stage.cluster.client, Leaving(stage.session, settle), lambda: going)


def test_a_roll_loses_no_request(stage):
    tallies = rolled(stage, lambda stage, old: drained(stage, old, way=leaving(stage, old)))
    assert {name: tally.lost for name, tally in tallies.items()} == {"web": 0, "ingress": 0}, tallies
    assert all(tally.sent > 400 for tally in tallies.values())


def test_without_leaving_load_balancers_requests_are_lost(stage):
    tallies = rolled(stage, lambda stage, old: drained(stage, old, way=None))
    assert tallies["web"].lost
    assert "no pod of the service" in tallies["web"].first
    assert tallies["ingress"].lost
    assert "which had ended" in tallies["ingress"].first


def test_with_the_label_alone_requests_are_lost_until_controllers_and_load_balancers_have_followed(stage):
    tallies = rolled(stage, lambda stage, old: drained(stage, old, way=partial(label_only, stage.cluster.client)))
    assert tallies["web"].lost
    assert "no pod of the service" in tallies["web"].first


def test_without_settling_a_network_load_balancer_loses_requests_after_it_said_unused(stage):
    def at_once(stage, old):
        return drained(stage, old, way=leaving(stage, old, settle=0), batch_size="100%")

    tallies = rolled(stage, at_once, ["ingress"])
    assert tallies["ingress"].lost
    assert "which had ended" in tallies["ingress"].first


def test_without_waiting_for_successors_a_load_balancer_is_left_without_a_target(stage):
    def too_early(stage, old):
        return drained(stage, old, way=leaving(stage, old, successors=False), batch_size="100%")

    tallies = rolled(stage, too_early, ["web", "ingress"])
    assert tallies["web"].lost


def test_a_right_that_is_missing_stops_the_roll_and_everything_goes_on_serving(stage, aws):
    def refused(stage, old):
        aws.switch(denyActions=["elasticloadbalancing:DeregisterTargets"])
        with pytest.raises(AccessDeniedError, match=r"elasticloadbalancing:DeregisterTargets.*grant that action"):
            drained(stage, old, way=leaving(stage, old))
        return []

    tallies = rolled(stage, refused)
    aws.switch()
    assert [tally.lost for tally in tallies.values()] == [0, 0], tallies
