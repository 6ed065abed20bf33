"""What nodes of a version to come are expected to be like."""

import pytest

from pulumi_nodepools.drain.model import Taint
from pulumi_nodepools.version_spec import planned
from tests.components.conftest import make_nodes, make_pool


@pytest.mark.parametrize(
    ("instance_type", "arch"),
    [
        *((name, "amd64") for name in ("m5.2xlarge", "g4dn.xlarge", "p4d.24xlarge", "m7i-flex.large", "t3a.small")),
        *((name, "arm64") for name in ("m6g.large", "c7gn.xlarge", "im4gn.large", "g5g.xlarge", "a1.large")),
    ],
)
def test_the_architecture_follows_the_instance_type(instance_type, arch) -> None:
    expected = planned(make_pool(nodes=make_nodes(instance_type=instance_type)))
    assert expected is not None
    assert expected.labels["kubernetes.io/arch"] == arch
    assert expected.labels["node.kubernetes.io/instance-type"] == instance_type


def test_labels_and_taints_are_those_of_the_version_and_the_librarys_own() -> None:
    nodes = make_nodes(labels={"disk": "ssd"}, taints=["dedicated=gpu:NoSchedule", "spot:NoExecute"])
    expected = planned(make_pool("v2", nodes))
    assert expected is not None
    assert expected.taints == (Taint("dedicated", "NoSchedule", "gpu"), Taint("spot", "NoExecute"))
    assert {
        "disk": "ssd",
        "nodepools.dev/pool": "worker",
        "nodepools.dev/version": "v2",
    }.items() <= expected.labels.items()


def test_nothing_is_expected_of_an_adopted_version() -> None:
    assert planned(make_pool(active="legacy", adopted={"legacy": "asg"})) is None
