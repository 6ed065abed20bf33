"""What each instance lacks, judged from plain objects."""

import pytest

from pulumi_nodepools import kernels
from pulumi_nodepools.aws.groups import GroupView, Instance
from pulumi_nodepools.hooks.evidence import Wanted, judge, top_up

WANTED = Wanted("worker", "v2", "3.10.0-1062.4.1", ("cgroup.memory=nokmem",))


def _group(*lifecycles, desired=None):
    instances = tuple(Instance(f"i-{n}", "us-west-2a", lifecycle, "Healthy") for n, lifecycle in enumerate(lifecycles))
    return GroupView("g2", "arn:g2", 1, 5, len(instances) if desired is None else desired, (), instances)


def _node(number=0, *, ready="True", kernel="3.10.0-1062.4.1.el7.x86_64", validated="worker-v2", **spec):
    return {
        "metadata": {"name": f"node-{number}", "labels": {"nodepools.dev/validated": validated} if validated else {}},
        "spec": {"providerID": f"aws:///us-west-2a/i-{number}", **spec},
        "status": {"conditions": [{"type": "Ready", "status": ready}], "nodeInfo": {"kernelVersion": kernel}},
    }


def _daemon_pod(ready="True", kind="DaemonSet"):
    return {
        "metadata": {"namespace": "kube-system", "name": "cni-x", "ownerReferences": [{"kind": kind, "name": "cni"}]},
        "spec": {"nodeName": "node-0"},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def test_all_good():
    verdict = judge([_group("InService")], [_node()], [_daemon_pod()], WANTED)
    assert (verdict.good, verdict.ready, verdict.total, verdict.lacks) == (True, 1, 1, {})


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (_node(ready="False"), "Node not Ready"),
        (_node(ready="Unknown"), "Node not Ready"),
        (_node(validated=""), "no proof of cgroup.memory=nokmem"),
        (_node(validated="worker-v1"), "nodepools.dev/validated is worker-v1"),
        (_node(kernel="3.10.0-957.el7.x86_64"), "kernel 3.10.0-957.el7.x86_64 is below 3.10.0-1062.4.1"),
        (_node(unschedulable=True), "Node cordoned"),
        (_node(taints=[{"key": "node.cloudprovider.kubernetes.io/uninitialized"}]), "uninitialized"),
        (_node(taints=[{"key": "node.cilium.io/agent-not-ready"}]), "agent-not-ready"),
    ],
)
def test_each_lack_is_named_with_instance_and_node(node, words):
    verdict = judge([_group("InService")], [node], [], WANTED)
    assert not verdict.good
    assert words in verdict.lacks["i-0 (node-0)"]


def test_the_pools_own_taints_are_no_lack():
    node = _node(taints=[{"key": "dedicated", "value": "ci", "effect": "NoSchedule"}])
    assert judge([_group("InService")], [node], [], WANTED).good


def test_an_unready_daemon_is_a_lack_and_a_workload_is_none():
    assert (
        "kube-system/cni-x"
        in judge([_group("InService")], [_node()], [_daemon_pod("False")], WANTED).lacks["i-0 (node-0)"]
    )
    assert judge([_group("InService")], [_node()], [_daemon_pod("False", "ReplicaSet")], WANTED).good


def test_instances_that_wait_did_not_join_or_were_not_launched():
    verdict = judge([_group("Pending:Wait", "InService", desired=3)], [_node(0)], [], WANTED)
    assert verdict.lacks == {
        "i-0 (node-0)": "has not completed its launch hook (it is Pending:Wait)",
        "i-1": "has no Node: it has not joined the cluster",
        "g2": "1 of 3 instances have not been launched",
    }


def test_an_instance_on_its_way_out_counts_for_nothing():
    verdict = judge([_group("Terminating:Wait", "InService", desired=1)], [_node(1)], [], WANTED)
    assert verdict.good


@pytest.mark.parametrize(
    ("version", "floor", "enough"),
    [
        ("3.10.0-1062.4.1.el7.x86_64", "3.10.0-1062.4.1", True),
        ("3.10.0-1062.el7.x86_64", "3.10.0-1062.4.1", False),
        ("3.10.0-1160.el7.x86_64", "3.10.0-1062.4.1", True),
        ("5.4.0", "3.10.0-1062.4.1", True),
        ("3.9.9-2000", "3.10.0", False),
        ("unknown", "3.10.0", False),
    ],
)
def test_kernels_are_compared_number_by_number(version, floor, enough):
    assert kernels.at_least(version, floor) is enough


def _sized(name, desired, maximum, zones=()):
    return GroupView(name, f"arn:{name}", 0, maximum, desired, (), (), zones)


@pytest.mark.parametrize(
    ("wanted", "sizes"),
    [(3, {}), (2, {}), (6, {"a": 3}), (8, {"a": 4, "b": 4}), (99, {"a": 5, "b": 4})],
)
def test_growing_is_even_and_within_limits(wanted, sizes):
    assert top_up([_sized("a", 1, 5), _sized("b", 3, 4)], wanted, {}) == sizes


@pytest.mark.parametrize(
    ("zones", "sizes"),
    [
        ({"z1": 1, "z2": 3}, {}),
        ({"z1": 3, "z2": 1}, {"a": 3}),
        ({"z1": 9}, {"a": 5}),
        ({"z3": 4}, {}),
    ],
)
def test_a_group_in_one_zone_follows_that_zone_within_its_limits(zones, sizes):
    both = [_sized("a", 1, 5, ("z1",)), _sized("b", 3, 4, ("z2",)), _sized("any", 1, 9, ("z1", "z2"))]
    assert top_up(both, 5, zones) == sizes
