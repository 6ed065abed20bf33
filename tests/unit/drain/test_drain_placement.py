"""First fit, as the scheduler filters."""

import pytest

from pulumi_nodepools.drain.model import NodeView, PodView, Requirement, Resources, Taint, Toleration
from pulumi_nodepools.drain.placement import fits


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
