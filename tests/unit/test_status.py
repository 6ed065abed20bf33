"""What the operator sees of versions in every state."""

from dataclasses import replace

import pytest

from pulumi_nodepools import status
from pulumi_nodepools.aws.groups import GroupView, Instance
from pulumi_nodepools.cluster.record import Frozen, PoolRecord
from pulumi_nodepools.drain.model import Progress
from pulumi_nodepools.drain.note import note_of
from pulumi_nodepools.errors import AccessDeniedError
from tests.unit.memory_cluster import MemoryCluster


def test_each_version_is_shown_with_its_state():
    cluster = MemoryCluster()
    for name, version, cordoned in (("n1", "v1", True), ("n2", "v2", False), ("n3", "v3-canary", False)):
        cluster.add_node(name, f"i-{name}", pool="worker", version=version, unschedulable=cordoned)
    frozen = {"prod-worker-v1": Frozen("arn", "v1", 1, 5, 1, ("Launch",))}
    states = {"v2": "active", "v1": "standby", "v0": "retired"}
    PoolRecord(cluster, "worker").update(lambda now: replace(now, serving="v2", states=states, frozen=frozen))
    (pool,) = status.collect(cluster)["pools"]
    shown = {
        one["version"]: (one["state"], one["nodes"], one["schedulable"], one["frozen"]) for one in pool["versions"]
    }
    assert shown == {
        "v0": ("retired", 0, 0, False),
        "v1": ("standby", 1, 0, True),
        "v2": ("active", 1, 1, False),
        "v3-canary": ("canary", 1, 1, False),
    }
    lines = status.table({"pools": [pool]}).splitlines()
    assert lines[0].split()[:4] == ["POOL", "VERSION", "STATE", "NODES"]
    assert lines[2].split() == ["worker", "v1", "standby", "1", "1", "0", "1", "frozen"]
    assert lines[3].split()[-1] == "serving"
    assert "SIGNATURES" not in lines[0], "no column for what nobody watches"


def test_what_is_done_to_a_pool_stands_below_in_a_terminal_s_width():
    version = {
        "version": "7.7.1908",
        "state": "standby",
        "nodes": 14,
        "ready": 14,
        "schedulable": 14,
        "validated": 14,
        "watched": 0,
        "signatures": [],
        "serving": True,
        "frozen": True,
    }
    idle = {"pool": "build", "phase": "", "holder": "", "request": "", "drain": None, "versions": [version]}
    busy = idle | {"pool": "worker", "phase": "drain 7.6.1810", "holder": "host/7", "request": "pause by eve"}
    noted = note_of(Progress("batch", 6, 14, 25, [], ""), "worker/7.6.1810", "host/7", 0.0).to_json()
    lines = status.table({"pools": [idle, busy, busy | {"pool": "other", "drain": noted}]}).splitlines()
    assert lines[4:] == [
        "worker: drain 7.6.1810; held by host/7; pause by eve",
        "other: drain 7.6.1810; 6/14 nodes, 25 pods left; held by host/7; pause by eve",
    ]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("answers", [True, False])
def test_an_adopted_group_is_counted_by_its_instances_or_not_known(monkeypatch, answers):
    cluster = MemoryCluster()
    for name, instance in (("n1", "i-1"), ("n2", "i-2"), ("other", "i-3")):
        cluster.add_node(name, instance, pool="legacy", version="legacy")
    PoolRecord(cluster, "grown").update(lambda now: replace(now, serving="old", serving_groups=("asg-by-hand",)))
    asked = []

    def describe(session, names):
        asked.append((session.region, [*names]))
        if not answers:
            raise AccessDeniedError("no credentials")
        instances = tuple(Instance(one, "us-west-2a", "InService", "Healthy") for one in ("i-1", "i-2"))
        return {"asg-by-hand": GroupView("asg-by-hand", "arn", 1, 5, 2, (), instances)}

    monkeypatch.setattr(status.groups, "describe", describe)
    found = status.collect(cluster)
    (version,) = next(pool["versions"] for pool in found["pools"] if pool["pool"] == "grown")
    assert (version["nodes"], version["ready"]) == ((2, 2) if answers else (None, None))
    assert asked == [("us-west-2", ["asg-by-hand"])]
    line = next(line for line in status.table(found).splitlines() if line.startswith("grown"))
    assert line.split()[3:5] == (["2", "2"] if answers else ["?", "?"])


def test_signatures_in_the_kernel_logs_of_a_version_are_shown_where_somebody_watches():
    cluster = MemoryCluster()
    for name, version in (("n1", "v1"), ("n2", "v2"), ("n3", "v2")):
        cluster.add_node(name, f"i-{name}", pool="worker", version=version)
    for name, value in (("n2", "False"), ("n3", "True")):
        condition = {
            "type": "NodepoolsKernelSignature",
            "status": value,
            "message": "kmem_cache_create(x) failed with error -12",
            "lastTransitionTime": "2020-04-28T12:49:09Z",
        }
        cluster.objects[f"/api/v1/nodes/{name}"]["status"]["conditions"].append(condition)
    found = status.collect(cluster)
    first, second = found["pools"][0]["versions"]
    assert (first["watched"], first["signatures"]) == (0, [])
    assert second["watched"] == 2
    assert second["signatures"] == [
        {
            "node": "n3",
            "time": "2020-04-28T12:49:09Z",
            "line": "kmem_cache_create(x) failed with error -12",
        }
    ]
    lines = status.table(found).splitlines()
    column = lines[0].split().index("SIGNATURES")
    assert [line.split()[column] for line in lines[1:]] == ["-", "1"]
