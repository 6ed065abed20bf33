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
    assert lines[2].split()[:4] == ["worker", "v1", "standby", "1"]
