"""Wrongs done on purpose in the middle of a roll: the judge sees each of them from where it really looks."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from pulumi_nodepools import names
from sandbox.stack import REGION
from tests.chaos.roll import Roll
from tests.chaos.schedule import Fault, Schedule
from tests.chaos.stage import NEW, OLD, Stage, running_stage

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]
_MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running_stage(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


def test_what_is_done_on_purpose_is_seen(stage: Stage, tmp_path: Path) -> None:
    once = Fault("death/old", "evict", 2)  # its place is taken by what follows
    roll = Roll(stage, Schedule(900, "remove", (once,)), tmp_path)
    roll.story.limits = dict.fromkeys(roll.story.limits, -60.0)

    def wrong(_fault: Fault) -> bool:
        _interrupt(roll)
        _evict_without_a_uid(roll)
        _take_capacity(roll)
        _mark(roll)
        _leave_a_pod(roll)
        _ask_for_what_is_not_granted(roll)
        return True

    roll.pool.act = wrong  # type: ignore[method-assign]
    seen = {one.kind for one in roll.run().violations}
    assert seen == {"interruption", "eviction", "capacity", "left-over", "not-empty", "aws-request", "deadline"}


def test_runs_that_end_badly_and_a_watch_that_broke_are_seen(stage: Stage, tmp_path: Path) -> None:
    passing = Fault("pause/kube-scheduler", "evict", 2)  # its place is taken by what follows
    roll = Roll(stage, Schedule(901, "remove", (passing,)), tmp_path)

    def wrong(_fault: Fault) -> bool:
        _signal(roll, signal.SIGSTOP)  # it is to end in no other way
        _break_all_watches(roll)
        _spoil_the_record(roll)
        _signal(roll, signal.SIGABRT)
        _signal(roll, signal.SIGCONT)
        return True

    roll.pool.act = wrong  # type: ignore[method-assign]
    seen = {one.kind for one in roll.run().violations}
    assert seen == {"undocumented-end", "gave-up", "not-resumed", "unwatched"}


def _patch(roll: Roll, node: dict[str, Any], body: dict[str, Any]) -> None:
    path = f"/api/v1/nodes/{node['metadata']['name']}"
    assert roll.stage.cluster.client.request("PATCH", path, body=body, content_type=_MERGE).status == 200


def _interrupt(roll: Roll) -> None:
    path = f"/api/v1/namespaces/{roll.pool.namespace}/pods"
    for pod in roll.stage.cluster.pods(roll.pool.namespace):
        if pod["metadata"]["labels"]["app"] == "web":
            roll.stage.cluster.request("DELETE", f"{path}/{pod['metadata']['name']}?gracePeriodSeconds=0")


def _evict_without_a_uid(roll: Roll) -> None:
    """As the library, which the log knows by the name of its client."""
    path = f"/api/v1/namespaces/{roll.pool.namespace}/pods/no-such-pod"
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "no-such-pod"}}
    assert roll.stage.cluster.client.request("POST", f"{path}/eviction", body=body).status == 404


def _take_capacity(roll: Roll) -> None:
    """The old nodes are all cordoned by now."""
    node = roll.pool.nodes(NEW)[0]
    _patch(roll, node, {"spec": {"unschedulable": True}})
    _patch(roll, node, {"spec": {"unschedulable": None}})


def _mark(roll: Roll) -> None:
    _patch(roll, roll.pool.nodes(NEW)[0], {"metadata": {"labels": {names.QUARANTINE_LABEL: "true"}}})


def _leave_a_pod(roll: Roll) -> None:
    """One that no drain moves: it says that a kubelet made it."""
    metadata = {"name": "left", "annotations": {"kubernetes.io/config.mirror": "x"}, "labels": {"app": "left"}}
    spec = {"nodeName": roll.pool.nodes(OLD)[0]["metadata"]["name"], "containers": [{"name": "c", "image": "i"}]}
    path = f"/api/v1/namespaces/{roll.pool.namespace}/pods"
    roll.stage.cluster.request("POST", path, {"metadata": metadata, "spec": spec})


def _spoil_the_record(roll: Roll) -> None:
    """No run goes on from what it cannot read."""
    path = f"/api/v1/namespaces/{names.RECORD_NAMESPACE}/configmaps/{names.record_name(roll.pool.name)}"
    body = {"data": {"record.json": "{"}}
    assert roll.stage.cluster.client.request("PATCH", path, body=body, content_type=_MERGE).status == 200


def _signal(roll: Roll, number: signal.Signals) -> None:
    assert roll._process is not None
    os.kill(roll._process.pid, number)


def _break_all_watches(roll: Roll) -> None:
    """The recorder's too: the API server ends at once, and is started again."""
    assert roll.stage.kill("kube-apiserver", 0.0)
    running = roll.stage.sandbox.control_plane.running
    roll.stage.cluster.wait(running, seconds=90, what="an API server that was started again")


def _ask_for_what_is_not_granted(roll: Roll) -> None:
    """In the name of the run."""
    keys = {"aws_access_key_id": roll.pool.name, "aws_secret_access_key": "sandbox"}
    groups = boto3.client("autoscaling", endpoint_url=roll.stage.sandbox.aws_endpoint, region_name=REGION, **keys)
    with pytest.raises(ClientError, match="not authorized"):
        groups.delete_auto_scaling_group(AutoScalingGroupName=roll.pool.group_names[OLD])
