"""Pods that would find no place on nodes that are only planned: named by workload, with what is missing."""

import pytest

from pulumi_nodepools.drain.model import (
    ClaimView,
    NodeView,
    Owner,
    PodView,
    Requirement,
    Taint,
    Toleration,
    VolumeView,
    WorldView,
)
from pulumi_nodepools.drain.preflight import Successor, check
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.names import SOAK_LABEL, SOAK_NAMESPACE

ZONE = "topology.kubernetes.io/zone"
OLD = NodeView(
    name="old",
    labels={
        "pool": "old",
        "disk": "ssd",
        "team": "shop",
        ZONE: "b",
        "kubernetes.io/hostname": "old",
        "kubernetes.io/arch": "amd64",
        "feature.node.kubernetes.io/avx": "true",
    },
)
GREEN = Successor("v2", {"disk": "ssd"}, zones=("a", "b"))
TAINTED = Successor("v2", {}, (Taint("dedicated", "NoSchedule", "gpu"), Taint("soft", "PreferNoSchedule")), ("b",))
ARM = Successor("v2", {"kubernetes.io/arch": "arm64"}, zones=("b",))


def pod(name="web-1-a", **fields):
    owner = Owner("ReplicaSet", "apps/v1", "web", "rs")
    return PodView(**{"namespace": "shop", "name": name, "uid": name, "node": "old", "owner": owner} | fields)


def needs(key, operator, *values):
    return {"affinity": ((Requirement(key, operator, values),),)}


def volume(zone, key=ZONE):
    claim = ClaimView(namespace="shop", name="data", uid="c", volume="pv")
    return claim, VolumeView(name="pv", uid="v", affinity=((Requirement(key, "In", (zone,)),),))


def found(*pods, successor=GREEN, others=(), stored=()):
    claims = [one for one in stored if isinstance(one, ClaimView)]
    volumes = [one for one in stored if isinstance(one, VolumeView)]
    view = WorldView([OLD, *others], pods, (), (), claims, volumes)
    findings = check(view, lambda node: node.labels.get("pool") == "old", DrainSettings(), 1e6, (), successor=successor)
    return [one for one in findings if one.reason == "no-place"]


@pytest.mark.parametrize(
    ("moving", "successor", "severity", "why"),
    [
        (pod(node_selector={"team": "shop", "disk": "ssd"}), GREEN, "blocker", "node selector asks for team=shop"),
        (pod(node_selector={"kubernetes.io/hostname": "old"}), GREEN, "blocker", "kubernetes.io/hostname=old"),
        (pod(node_selector={"kubernetes.io/arch": "amd64"}), ARM, "blocker", "asks for kubernetes.io/arch=amd64"),
        (pod(**needs("team", "Exists")), GREEN, "blocker", "node affinity matches none of its labels"),
        (pod(**needs(ZONE, "In", "c")), GREEN, "blocker", "node affinity matches none of its labels"),
        (pod(), TAINTED, "never", "they do not tolerate dedicated=gpu:NoSchedule"),
    ],
)
def test_what_the_next_nodes_will_not_have_is_named_for_each_workload(moving, successor, severity, why):
    (one,) = found(moving, successor=successor)
    assert (one.severity, one.object, one.node) == (severity, "workload shop/web", "old")
    assert why in one.message
    assert one.fix


@pytest.mark.parametrize(
    ("moving", "successor"),
    [
        (pod(), GREEN),
        (pod(node_selector={"disk": "ssd", ZONE: "a"}), GREEN),
        (pod(node_selector={"feature.node.kubernetes.io/avx": "true"}), GREEN),  # set by a controller, there too
        (pod(tolerations=(Toleration(key="dedicated", operator="Exists"),)), TAINTED),
        (pod(node_selector={"team": "shop"}), None),
        (pod(node_selector={"team": "shop"}, phase="Succeeded"), GREEN),
        (pod(node_selector={"team": "shop"}, owner=Owner("DaemonSet", "apps/v1", "log", "ds")), GREEN),
        (pod(node_selector={"pool": "old"}, namespace=SOAK_NAMESPACE, labels={SOAK_LABEL: "baseline"}), GREEN),
    ],
)
def test_what_finds_a_place_is_not_told(moving, successor):
    assert found(moving, successor=successor) == []


def test_another_pool_that_would_take_them_is_place_enough_unless_it_is_closed():
    moving = pod(node_selector={"team": "shop"})
    other = NodeView(name="other", labels={"team": "shop"})
    assert found(moving, others=[other]) == []
    closed = NodeView(name="other", labels={"team": "shop"}, unschedulable=True)
    assert len(found(moving, others=[closed])) == 1


@pytest.mark.parametrize(("zone", "told"), [("b", 0), ("c", 1)])
def test_a_volume_in_a_zone_without_subnets_of_the_new_version_is_refused(zone, told):
    known = found(pod(claims=("data",)), stored=volume(zone))
    assert [(one.severity, one.message.rpartition(": ")[2]) for one in known] == [
        ("never", "volume pv is in c, and its subnets are in a, b")
    ][:told]


def test_a_local_volume_is_told_by_another_finding():
    assert found(pod(claims=("data",)), stored=volume("old", "kubernetes.io/hostname")) == []


def test_pods_of_one_workload_are_told_once():
    assert len(found(pod("a", node_selector={"team": "x"}), pod("b", node_selector={"team": "x"}))) == 1
