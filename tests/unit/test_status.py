"""What the operator sees of versions in every state."""

from dataclasses import replace

from pulumi_nodepools import status
from pulumi_nodepools.cluster.record import Frozen, PoolRecord
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
    idle = {"pool": "build", "phase": "", "holder": "", "request": "", "versions": [version]}
    busy = idle | {"pool": "worker", "phase": "drain 7.6.1810", "holder": "host/7", "request": "pause by eve"}
    lines = status.table({"pools": [idle, busy]}).splitlines()
    assert lines[3:] == ["worker: drain 7.6.1810; held by host/7; pause by eve"]
    assert max(map(len, lines)) <= 80


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
