"""Pause, resume and stop reach a drain that runs in another process, between two evictions."""

import json

import pytest

from tests.apiserver.cli_case import Running, run
from tests.apiserver.drain_case import on

pytestmark = pytest.mark.apiserver


@pytest.fixture
def guarded(cluster, request):
    """Nodes that no pool owns, with two pods that could move if their budget ever allowed it."""
    name = f"req-{request.node.name.split('_')[1]}"
    cluster.nodes(f"{name}-old", 2)
    space = cluster.namespace()
    cluster.deployment(space, "web", 2, **on(f"{name}-old", f"{name}-new"))
    cluster.wait_ready(space, 2)
    cluster.nodes(f"{name}-new", 2)
    cluster.budget(space, "web", minAvailable=2)
    cluster.wait(lambda: cluster.allowed(space, "web") == 0)
    return name, space


def _free(cluster, space):
    cluster.request("DELETE", f"/apis/policy/v1/namespaces/{space}/poddisruptionbudgets/web")


def test_paused_drain_evicts_nothing_until_it_is_resumed(cluster, guarded):
    name, space = guarded
    chosen = ("--selector", f"pool={name}-old")
    before = {pod["metadata"]["uid"] for pod in cluster.pods(space)}
    with Running(cluster, "drain", *chosen, "--batch-size", "100%", "--unbudgeted", "all", "--output", "json") as drain:
        cluster.wait(lambda: "pdb-impossible" in drain.text, what="the diagnosis of the budget")
        paused = run(cluster, "pause", *chosen, "--output", "json")
        assert paused.returncode == 0, paused.stderr
        (pool,) = json.loads(paused.stdout)["pools"]
        assert (pool["pool"], pool["state"]) == ("unmanaged", "paused")
        cluster.wait(lambda: ": paused: " in drain.text, what="the pause in the drain's own words")
        _free(cluster, space)
        # Each of these takes longer than a drain takes to use a budget that frees.
        assert run(cluster, "status").returncode == 0
        status = json.loads(run(cluster, "status", "--output", "json").stdout)["pools"]
        assert any("asked to pause" in one["request"] for one in status)
        assert {pod["metadata"]["uid"] for pod in cluster.ready(space)} == before
        assert run(cluster, "resume", *chosen).returncode == 0
        code, document = drain.ended()
    assert (code, document["run"]["outcome"]) == (0, "drained"), drain.text
    kinds = [event["kind"] for event in document["events"]]
    assert [kind for kind in kinds if kind in ("paused", "resumed", "drained")] == ["paused", "resumed", "drained"]


def test_stopped_drain_ends_with_2_and_says_who_asked(cluster, guarded):
    name, space = guarded
    assert "no drain runs" in run(cluster, "stop", f"{name}-old-0").stderr
    with Running(cluster, "drain", f"{name}-old-0", f"{name}-old-1", "--output", "json") as drain:
        cluster.wait(lambda: "pdb-impossible" in drain.text, what="the diagnosis of the budget")
        stopped = run(cluster, "stop", f"{name}-old-0")
        assert stopped.returncode == 0, stopped.stderr
        code, document = drain.ended()
    assert code == 2, drain.text
    assert "asked to stop" in document["error"]
    assert document["diagnosis"][0]["reason"] == "pdb-impossible"
    assert len(cluster.ready(space)) == 2
    # A later run is not meant by it.
    _free(cluster, space)
    again = run(cluster, "drain", f"{name}-old-0", f"{name}-old-1", "--timeout", "5s")
    assert "asked to stop" not in again.stderr


def test_requests_for_a_pool_that_is_not_there_are_refused(cluster):
    for command in ("pause", "resume", "stop"):
        refused = run(cluster, command, "--pool", "nowhere")
        assert refused.returncode == 1
        assert "neither nodes nor a record" in refused.stderr
        assert "in one way" in run(cluster, command).stderr
