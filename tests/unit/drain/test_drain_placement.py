"""First fit, as the scheduler filters."""

import pytest

from pulumi_nodepools.drain.model import (
    ClaimView,
    NodeView,
    PodView,
    Requirement,
    Resources,
    Taint,
    Toleration,
    VolumeView,
    WorldView,
)
from pulumi_nodepools.drain.placement import fits
from pulumi_nodepools.drain.storage import Storage


def node(name="n", cpu=1000, memory=2**30, pods=10, **fields):
    return NodeView(name=name, allocatable=Resources(cpu, memory, pods), **fields)


def pod(name="p", cpu=100, memory=2**20, **fields):
    return PodView(namespace="ns", name=name, uid=name, requests=Resources(cpu, memory, 1), **fields)


def test_pods_fill_nodes_and_the_rest_is_named():
    left = fits([pod(f"p{i}", cpu=400) for i in range(5)], [node("a"), node("b")])
    assert [str(entry) for entry in left] == [
        "ns/p4 (needs 400m CPU and 1 MiB, not free on any of the 2 nodes that admit it)"
    ]


def test_large_pods_come_first_so_that_small_ones_fill_the_gaps():
    assert fits([pod("s1", 500), pod("s2", 500), pod("l", 1000)], [node("a"), node("b")]) == []


def test_the_number_of_pods_counts():
    (left,) = fits([pod("a"), pod("b")], [node(pods=1)])
    assert "number of pods" in left.reason


@pytest.mark.parametrize(
    ("fields", "node_fields", "placed"),
    [
        ({"node_selector": {"disk": "ssd"}}, {}, False),
        ({"node_selector": {"disk": "ssd"}}, {"labels": {"disk": "ssd"}}, True),
        ({}, {"taints": (Taint("gpu", "NoSchedule"),)}, False),
        ({}, {"taints": (Taint("gpu", "NoExecute"),)}, False),
        ({}, {"taints": (Taint("gpu", "PreferNoSchedule"),)}, True),
        ({"tolerations": (Toleration("gpu", "Exists"),)}, {"taints": (Taint("gpu", "NoSchedule", "yes"),)}, True),
        ({"tolerations": (Toleration("gpu", value="no"),)}, {"taints": (Taint("gpu", "NoSchedule", "yes"),)}, False),
        ({"tolerations": (Toleration("", "Exists"),)}, {"taints": (Taint("any", "NoSchedule"),)}, True),
        ({"affinity": ((Requirement("z", "In", ("a", "b")),),)}, {"labels": {"z": "b"}}, True),
        ({"affinity": ((Requirement("z", "In", ("a",)),),)}, {"labels": {"z": "b"}}, False),
        (
            {"affinity": ((Requirement("z", "In", ("a",)),), (Requirement("z", "Exists"),))},
            {"labels": {"z": "b"}},
            True,
        ),
        ({"affinity": ((Requirement("z", "DoesNotExist"),),)}, {}, True),
        ({"affinity": ((Requirement("n", "Gt", ("3",)),),)}, {"labels": {"n": "4"}}, True),
        ({"affinity": ((Requirement("n", "Lt", ("3",)),),)}, {"labels": {"n": "x"}}, False),
        ({"affinity": ((),)}, {}, False),
    ],
)
def test_rules_of_pods_and_nodes(fields, node_fields, placed):
    left = fits([pod(**fields)], [node(**node_fields)])
    assert (left == []) is placed
    if left:
        assert "admit none of 1 nodes" in left[0].reason


ZONE = "topology.kubernetes.io/zone"


def zonal(*zones, key=ZONE, name="data"):
    """Claims and volumes by which pods with the claim `name` are tied to some zones."""
    claim = ClaimView(namespace="ns", name=name, uid=f"c-{name}", volume=f"pv-{name}")
    volume = VolumeView(name=f"pv-{name}", uid=f"v-{name}", affinity=((Requirement(key, "In", zones),),))
    return Storage.of(WorldView((), (), claims=[claim], volumes=[volume]))


def in_zone(zone, name=None, **fields):
    return node(name or f"n-{zone}", labels={ZONE: zone}, **fields)


def test_a_zonal_volume_admits_its_zone_only_and_the_refusal_names_both():
    mover = pod(claims=("data",))
    assert fits([mover], [in_zone("a"), in_zone("b")], zonal("b")) == []
    (left,) = fits([mover], [in_zone("a"), in_zone("c")], zonal("b"))
    assert left.reason == "volume pv-data is in b, where none of the 2 nodes that would admit it is"


def test_a_full_zone_is_told_from_a_missing_one():
    (left,) = fits([pod(claims=("data",))], [in_zone("a"), in_zone("b", cpu=50)], zonal("b"))
    assert left.reason == (
        "needs 100m CPU and 1 MiB, not free on any of the 1 nodes that admit it (volume pv-data is in b)"
    )


def test_zonal_pods_are_placed_first():
    nodes = [in_zone("b"), in_zone("a")]
    assert fits([pod("large", 1000), pod("tied", 500, claims=("data",))], nodes, zonal("b")) == []


def test_an_unbound_claim_ties_nothing():
    assert fits([pod(claims=("other",))], [in_zone("a")], zonal("b")) == []


def test_host_ports_are_taken_once_on_each_node():
    movers = [pod(f"p{index}", host_ports=("80/TCP",)) for index in range(3)]
    there = pod("there", node="a", host_ports=("80/TCP", "443/TCP"))
    left = fits(movers, [node("a"), node("b"), node("c")], there=[there])
    assert [str(entry) for entry in left] == ["ns/p2 (its host ports 80/TCP are taken on all 3 nodes that admit it)"]
    assert fits([pod(host_ports=("80/UDP",))], [node("a")], there=[there]) == []
