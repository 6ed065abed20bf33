"""The gate between batches against the real scheduler and controllers, with commands that really run."""

import sys

import pytest

from pulumi_nodepools.drain.settings import BatchGate, DrainSettings
from pulumi_nodepools.errors import DrainBlockedError
from pulumi_nodepools.hooks.batch_command import command_of
from tests.apiserver.cli_case import run
from tests.apiserver.drain_case import NODES, on

pytestmark = pytest.mark.apiserver


def two_nodes(cluster, pool, *, elsewhere=2):
    """An app with a pod on each of two nodes of a pool; room for as many of them elsewhere."""
    space = cluster.namespace()
    cluster.nodes(pool, 2)
    apart = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "app"}}}
    where = on(pool, f"{pool}-new")["affinity"]
    spread = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
    cluster.deployment(space, "app", 2, affinity={**where, **spread})
    cluster.wait_ready(space, 2)
    cluster.nodes(f"{pool}-new", elsewhere)
    return space


def gated(cluster, pool, gate, **settings):
    command = command_of(DrainSettings(batch_gate=gate), pool, "v1")
    return cluster.drain(pool, batch_size="1", batch_gate=gate, command=command, **settings)


def on_old(cluster, space, pool):
    return [pod for pod in cluster.pods(space) if pod["spec"].get("nodeName") in (f"{pool}-0", f"{pool}-1")]


def test_a_bad_batch_ends_the_drain_with_the_rest_serving_and_the_next_run_goes_on(cluster, tmp_path):
    space = two_nodes(cluster, "judged")
    log, fine = tmp_path / "log", tmp_path / "fine"
    text = (
        f"import os, pathlib; batch = os.environ['NODEPOOLS_BATCH']; log = open({str(log)!r}, 'a')\n"
        "print(batch, os.environ['NODEPOOLS_NODES'], file=log)\n"
        f"bad = batch != '0' and not pathlib.Path({str(fine)!r}).exists()\n"
        "print('error rate is 4 %, may be 1 %'); raise SystemExit(bad)"
    )
    gate = BatchGate(consecutive=2, interval=0.2, command=(sys.executable, "-c", text))
    with pytest.raises(DrainBlockedError, match=r"batch 1 \(judged-0\) is bad(.|\n)*error rate is 4 %") as caught:
        gated(cluster, "judged", gate)
    report = caught.value.report
    assert [entry.reason for entry in report.diagnosis] == ["batch-command"]
    assert {node.name: node.phase for node in report.nodes} == {"judged-0": "done", "judged-1": "waiting"}
    assert len(on_old(cluster, space, "judged")) == 1, "the second node was not touched"
    assert len(cluster.ready(space)) == 2
    assert cluster.request("GET", f"{NODES}/judged-1")["spec"]["unschedulable"] is True
    fine.touch()
    assert gated(cluster, "judged", gate).outcome == "drained"
    assert log.read_text().splitlines() == ["0 ", "1 judged-0", "0 ", "1 judged-1"]


def test_a_pod_that_found_no_node_since_the_first_batch_ends_the_drain_there(cluster):
    space = two_nodes(cluster, "crowd")
    huge = {"name": "main", "image": "registry.k8s.io/pause:3.9", "resources": {"requests": {"cpu": "1000"}}}
    cluster.deployment(space, "broken", 1, nodeSelector={"pool": "crowd"}, containers=[huge])
    cluster.wait(lambda: any(unschedulable(pod) for pod in cluster.pods(space)), what="a pod that is pending before")
    seen = []

    def listen(progress):
        if progress.phase == "batch" and not seen:
            seen.append(True)
            # Another workload grows where the drain has just taken the room.
            cluster.deployment(space, "late", 1, nodeSelector={"pool": "crowd"})

    with pytest.raises(DrainBlockedError, match="batch 1 is bad") as caught:
        gated(cluster, "crowd", BatchGate(), listen=listen, node_timeout=8)
    (why,) = caught.value.report.diagnosis
    assert why.reason == "replacement-unschedulable"
    assert f"{space}/late" in why.object
    assert len(on_old(cluster, space, "crowd")) == 1


def test_what_a_stopped_drain_has_broken_the_next_run_waits_for_and_touches_nothing(cluster):
    space = two_nodes(cluster, "behind", elsewhere=0)
    with pytest.raises(DrainBlockedError, match="batch 1 is bad") as caught:
        gated(cluster, "behind", BatchGate(), node_timeout=6)
    behind = caught.value.report.behind
    assert [*behind.values()] == [2]
    (left,) = on_old(cluster, space, "behind")
    with pytest.raises(DrainBlockedError, match="workloads that an earlier run has moved are not back") as again:
        gated(cluster, "behind", BatchGate(), node_timeout=6, behind=behind)
    assert again.value.report.behind == behind
    assert [pod["metadata"]["uid"] for pod in on_old(cluster, space, "behind")] == [left["metadata"]["uid"]]
    cluster.nodes("behind-new", 2)
    assert gated(cluster, "behind", BatchGate(), behind=behind).outcome == "drained"
    assert len(cluster.ready(space)) == 2


def unschedulable(pod):
    return any(
        one["type"] == "PodScheduled" and one["status"] == "False" for one in pod["status"].get("conditions", [])
    )


def test_by_hand_a_command_that_takes_too_long_ends_the_drain_before_any_cordon(cluster):
    space = two_nodes(cluster, "slow")
    ended = run(cluster, "drain", "-l", "pool=slow", "--batch-command", "sleep 300", "--batch-command-timeout", "1s")
    assert ended.returncode == 2, ended.stderr
    assert "before the first batch; no node was touched" in ended.stderr
    assert "sleep did not end within 1 s and was ended" in ended.stderr
    assert len(on_old(cluster, space, "slow")) == 2
    for name in ("slow-0", "slow-1"):
        node = cluster.request("GET", f"{NODES}/{name}")
        assert not node["spec"].get("unschedulable")
        assert "nodepools.dev/cordoned-by" not in node["metadata"]["annotations"]
