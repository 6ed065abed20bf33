"""The way back of a drained version: its instances are registered again where the drain's notes say."""

import json

import msgspec
import pytest

from pulumi_nodepools.aws import targets
from pulumi_nodepools.aws.targets import Target
from pulumi_nodepools.cluster.exclusion import exclude, left_of
from pulumi_nodepools.cluster.objects import RawNode, node_view
from pulumi_nodepools.hooks.leaving import come_back
from pulumi_nodepools.names import EXCLUDED_VALUE, EXCLUSION_LABEL, LEFT_ANNOTATION

NODE = "/api/v1/nodes/old"


@pytest.fixture
def arn(session):
    vpc = session.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    made = session.call("elbv2", "create_target_group", Name="web", Protocol="HTTP", Port=80, VpcId=vpc)
    return made["TargetGroups"][0]["TargetGroupArn"]


@pytest.fixture
def instance(session):
    made = session.call("ec2", "run_instances", ImageId="ami-12c6146b", MinCount=1, MaxCount=1)
    return made["Instances"][0]["InstanceId"]


def seen(cluster):
    return node_view(msgspec.convert(cluster.get(NODE), RawNode, strict=False))


def test_only_nodes_that_this_version_drained_come_back(session, cluster, arn, instance):
    cluster.add_node("old", instance, pool="worker", version="v1")
    notes = {LEFT_ANNOTATION: json.dumps([f"{arn} 8080"])}
    cluster.patch(NODE, {"metadata": {"annotations": {"nodepools.dev/cordoned-by": "worker/v1", **notes}}})
    come_back(cluster, session, lambda _node: False, "worker/v1")
    come_back(cluster, session, lambda _node: True, "worker/v2")
    assert targets.registered(session, arn) == []
    come_back(cluster, session, lambda _node: True, "worker/v1")
    assert targets.registered(session, arn) == [Target(instance, 8080, "healthy")]


def test_what_is_left_is_noted_with_the_label_and_a_later_run_only_adds_to_it(cluster):
    cluster.add_node("old", "i-1", pool="worker", version="v1")
    assert exclude(cluster, seen(cluster), {"arn:web 80", "arn:api 81"}) == ""
    metadata = cluster.get(NODE)["metadata"]
    assert metadata["labels"][EXCLUSION_LABEL] == EXCLUDED_VALUE
    assert metadata["annotations"]["nodepools.dev/left-load-balancers"] == '["arn:api 81", "arn:web 80"]'
    assert exclude(cluster, seen(cluster), {"arn:more 80"}) == ""
    assert left_of(cluster.get(NODE)["metadata"]["annotations"]) == ["arn:api 81", "arn:more 80", "arn:web 80"]
    before = cluster.get(NODE)
    exclude(cluster, seen(cluster), {"arn:web 80"})
    assert cluster.get(NODE) == before


@pytest.mark.parametrize("text", ["", "{}", "not json", "[1, null]"])
def test_notes_that_somebody_spoilt_say_nothing(text):
    assert left_of({LEFT_ANNOTATION: text}) == []
