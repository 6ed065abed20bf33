"""When the limits of nodes are read, and what is done where they may not be."""

import json

import pytest

from pulumi_nodepools.cluster import attach_limits
from pulumi_nodepools.cluster.watch import RESOURCES
from pulumi_nodepools.drain.model import CsiNodeView, NodeView, PodView, WorldView
from pulumi_nodepools.errors import AccessDeniedError
from tests.unit.memory_cluster import MemoryCluster

EBS = "ebs.csi.aws.com"


class Reader(MemoryCluster):
    """A cluster that counts its lists, and may refuse them."""

    def __init__(self):
        super().__init__()
        self.lists, self.refused = [], False

    def list_raw(self, path, **query):
        self.lists.append(path)
        if self.refused:
            raise AccessDeniedError("list csinodes: 403")
        return super().list_raw(path, **query)


@pytest.fixture
def cluster():
    made = Reader()
    for name, drivers in {
        "old": [{"name": EBS, "nodeID": "i-1", "allocatable": {"count": 25}}],
        "new": [{"name": EBS, "allocatable": {"count": 0}}, {"name": "efs", "allocatable": {}}, {"name": "fsx"}],
        "bare": None,
    }.items():
        made.create(attach_limits.CSI_NODES, {"metadata": {"name": name}, "spec": {"drivers": drivers}})
    return made


def seen(cluster, *pods, tell=pytest.fail):
    world = WorldView([NodeView(name="old"), NodeView(name="new")], pods)
    return attach_limits.seen(cluster, world, lambda node: node.name == "old", tell)


def pod(node, *claims):
    return PodView(namespace="shop", name="p", uid="p", node=node, claims=claims)


def test_a_node_has_the_limits_that_its_drivers_name(cluster):
    assert seen(cluster, pod("old", "data")).csi_nodes == [
        CsiNodeView(name="old", limits={EBS: 25}),
        CsiNodeView(name="new", limits={EBS: 0}),
        CsiNodeView(name="bare"),
    ]


def test_they_are_read_by_one_list_and_only_where_pods_with_claims_are_to_move(cluster):
    assert seen(cluster, pod("old"), pod("new", "data")).csi_nodes == ()
    assert cluster.lists == []
    seen(cluster, pod("old", "data"), pod("old", "other"))
    assert cluster.lists == [attach_limits.CSI_NODES]


def test_who_may_not_read_them_is_told_so_and_goes_on(cluster):
    cluster.refused, told = True, []
    assert seen(cluster, pod("old", "data"), tell=told.append).csi_nodes == ()
    assert told == ["whether nodes can attach as many volumes as would come is not known: list csinodes: 403"]


@pytest.mark.parametrize(
    ("spec", "driver"),
    [
        ({"csi": {"driver": "fsx.csi.aws.com", "volumeHandle": "fs-1"}}, "fsx.csi.aws.com"),
        ({"awsElasticBlockStore": {"volumeID": "vol-1"}}, EBS),
        ({"nfs": {"server": "s", "path": "/"}}, ""),
    ],
)
def test_a_volume_is_attached_by_the_driver_that_is_written_in_it(spec, driver):
    (volumes,) = (resource for resource in RESOURCES if resource.kind == "volumes")
    assert volumes.view(json.dumps({"metadata": {"name": "v"}, "spec": spec}).encode()).driver == driver
