"""The operator's commands as processes against the real API server: exit codes, streams, and what they leave."""

import json
from functools import partial

import pytest

from pulumi_nodepools.cluster.lease import LEASES
from pulumi_nodepools.cluster.record import PoolRecord
from tests.apiserver import cli_case
from tests.apiserver.drain_case import NODES
from tests.conformance import replays

pytestmark = pytest.mark.apiserver


@pytest.fixture
def run(cluster):
    return partial(cli_case.run, cluster)


@pytest.fixture
def pool(cluster, request):
    """A pool with two nodes of v1, which carry four pods, and two of v2, which serves."""
    name = f"pool-{request.node.name.split('_')[1]}"
    space = cli_case.two_versions(cluster, name)
    return name, space


def _cordoned(cluster, pool, version):
    found = cluster.client.get(NODES, labelSelector=f"nodepools.dev/pool={pool},nodepools.dev/version={version}")
    return sum(bool(node["spec"].get("unschedulable")) for node in found["items"])


def test_drained_status_and_back(cluster, run, pool):
    name, space = pool
    done = run("drain", "--pool", name, "--version", "v1", "--batch-size", "100%", "--output", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"]["outcome"] == "drained"
    assert " nodes, 0 pods left" in done.stderr
    assert {pod["spec"]["nodeName"].rsplit("-", 1)[0] for pod in cluster.ready(space)} == {f"{name}-v2"}
    assert PoolRecord(cluster.client, name).holder() == ""

    (seen,) = [one for one in json.loads(run("status", "--output", "json").stdout)["pools"] if one["pool"] == name]
    old, new = seen["versions"]
    assert (old["version"], old["nodes"], old["ready"], old["schedulable"], old["serving"]) == ("v1", 2, 2, 0, False)
    assert (new["version"], new["schedulable"], new["serving"], new["frozen"]) == ("v2", 2, True, False)
    table = run("status").stdout
    assert name in table
    assert "serving" in table

    back = run("uncordon", "--pool", name, "--version", "v1")
    assert back.returncode == 0, back.stderr
    assert _cordoned(cluster, name, "v1") == 0


def test_blocked_by_a_budget_is_exit_2_with_a_diagnosis(cluster, run, pool):
    name, space = pool
    cluster.budget(space, "web", minAvailable=4)
    cluster.wait(lambda: cluster.allowed(space, "web") == 0)
    stopped = run("drain", "--pool", name, "--version", "v1", "--timeout", "3s", "--output", "json")
    assert stopped.returncode == 2, stopped.stderr
    document = json.loads(stopped.stdout)
    assert any(space in entry["object"] for entry in document["diagnosis"])
    assert "web" in stopped.stderr
    assert len(cluster.ready(space)) == 4


@replays("kubectl: cordon, no such node", "refused by name, nothing is touched")
def test_serving_versions_and_unknown_nodes_are_refused(cluster, run, pool):
    name, _ = pool
    serving = run("drain", "--pool", name, "--version", "v2")
    assert serving.returncode == 1
    assert "is the version that serves" in serving.stderr
    unknown = run("drain", "no-such-node")
    assert unknown.returncode == 1
    assert "'no-such-node' does not exist" in unknown.stderr
    assert "Traceback" not in serving.stderr + unknown.stderr
    assert _cordoned(cluster, name, "v2") == 0


@replays("kubectl: server dry-run", "answers at once and changes nothing")
def test_dry_runs_change_nothing(cluster, run, pool):
    name, space = pool
    before = {pod["metadata"]["uid"] for pod in cluster.pods(space)}
    planned = run("drain", "--selector", f"pool={name}-v1", "--dry-run", "--output", "json")
    assert planned.returncode == 0, planned.stderr
    document = json.loads(planned.stdout)
    assert (document["outcome"], len(document["nodes"]), len(document["evict"])) == ("drainable", 2, 4)
    serving = run("drain", "--pool", name, "--version", "v2", "--dry-run", "--output", "json")
    assert serving.returncode == 2, serving.stderr
    assert "is the version that serves" in json.loads(serving.stdout)["diagnosis"][0]["message"]
    assert {pod["metadata"]["uid"] for pod in cluster.pods(space)} == before
    assert _cordoned(cluster, name, "v1") == 0


def test_held_by_a_living_run_is_exit_2(cluster, run, pool):
    name, _ = pool
    with PoolRecord(cluster.client, name).hold() as holder:
        refused = run("drain", "--pool", name, "--version", "v1", "--output", "json")
        holder.check()
    assert refused.returncode == 2, refused.stderr
    assert "holds the Lease" in json.loads(refused.stdout)["diagnosis"][0]["message"]
    assert cluster.client.get(f"{LEASES}/nodepools-{name}")["spec"]["holderIdentity"] == ""
    assert _cordoned(cluster, name, "v1") == 0
