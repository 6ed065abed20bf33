"""NodePool against a mock engine: what one version consists of, and what of it may never change."""

import base64
import gzip
import json
import tomllib
from pathlib import Path

import pulumi
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pulumi_nodepools import (
    Access,
    ClusterArgs,
    EksJoin,
    KubeadmJoin,
    NodeArgs,
    NodePool,
    NodePoolArgs,
    RootVolumeArgs,
    SizeArgs,
    UserPart,
)
from pulumi_nodepools.config import parse
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.node_pool import GROUP_IGNORES, TEMPLATE_INPUTS, parts
from pulumi_nodepools.node_role import fitted
from pulumi_nodepools.user_data import from_stack_file
from tests.components.conftest import POLICY, SUBNETS, make_cluster, make_nodes
from tests.components.engine import Recording, Registration, run

TEMPLATE, GROUP, ROLE = "w-v1-template", "w-v1-group", "w-v1-role"


def make_args(nodes=None, **changes) -> NodePoolArgs:
    values = {
        "cluster": make_cluster(),
        "pool": "w",
        "version": "v1",
        "nodes": nodes or make_nodes(),
        "size": SizeArgs(min=1, desired=4, max=9),
    }
    return NodePoolArgs(**values | changes)


def build(nodes=None, **changes) -> Recording:
    return run(lambda: NodePool("w-v1", make_args(nodes, **changes)))


def template(nodes=None, **changes) -> Registration:
    return build(nodes, **changes)[TEMPLATE]


def test_metadata_needs_a_session_token_and_stays_on_the_host() -> None:
    assert template().inputs["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }


def test_the_root_volume_is_encrypted_gp3_and_goes_with_the_instance() -> None:
    (device,) = template().inputs["blockDeviceMappings"]
    assert device["deviceName"] == "/dev/sda1"
    assert device["ebs"] == {"deleteOnTermination": "true", "encrypted": "true", "volumeSize": 80, "volumeType": "gp3"}
    volume = RootVolumeArgs(size=200, type="io2", iops=5000, kms_key_id="alias/nodes", device="/dev/xvda")
    (other,) = template(make_nodes(root_volume=volume)).inputs["blockDeviceMappings"]
    assert other["deviceName"] == "/dev/xvda"
    assert other["ebs"]["encrypted"] == "true"
    assert (other["ebs"]["volumeType"], other["ebs"]["iops"], other["ebs"]["kmsKeyId"]) == ("io2", 5000, "alias/nodes")


def test_a_role_made_for_nodes_of_eks_is_admitted_before_the_first_of_them_starts() -> None:
    access = Access(kind="eks", cluster_name="prod-in-eks")
    recorded = build(cluster=make_cluster(join=EksJoin(), access=access))
    entry = recorded["w-v1-role-entry"]
    role = "arn:aws:iam::123456789012:role/prod-w-v1-us-west-2"
    assert entry.inputs == {"clusterName": "prod-in-eks", "principalArn": role, "type": "EC2_LINUX"}
    assert entry.name in recorded[GROUP].dependencies
    for other in (EksJoin(access_entry=False), make_cluster().join):
        assert not build(cluster=make_cluster(join=other)).of(":AccessEntry")


@pytest.mark.parametrize(("written", "sent"), [(False, "false"), (True, "true")])
def test_no_public_address_unless_asked_for(written, sent) -> None:
    (interface,) = template(make_nodes(associate_public_ip=written)).inputs["networkInterfaces"]
    assert interface["associatePublicIpAddress"] == sent
    assert interface["securityGroups"] == ["sg-0123456789abcdef0"]


def test_spot_instances_only_if_asked_for() -> None:
    assert template(make_nodes(spot=True)).inputs["instanceMarketOptions"] == {"marketType": "spot"}
    assert "instanceMarketOptions" not in template().inputs


def test_everything_of_a_template_is_ignored_once_it_exists() -> None:
    made = template(make_nodes(spot=True))
    assert set(made.inputs) <= set(TEMPLATE_INPUTS), "an input outside the list would change live pools on an upgrade"
    assert made.ignore_changes == list(TEMPLATE_INPUTS)


def test_the_group_leaves_its_size_and_its_freeze_alone() -> None:
    assert build()[GROUP].ignore_changes == list(GROUP_IGNORES) == ["desiredCapacity", "suspendedProcesses"]


def test_the_group_uses_a_numbered_template_version() -> None:
    assert build()[GROUP].inputs["launchTemplate"] == {"id": f"{TEMPLATE}-id", "version": "1"}


def test_an_instance_counts_only_once_it_has_completed_its_launch_hook() -> None:
    group = build()[GROUP].inputs
    assert group["initialLifecycleHooks"] == [
        {
            "name": "nodepools-validate",
            "lifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
            "defaultResult": "ABANDON",
            "heartbeatTimeout": 900,
        }
    ]
    assert (group["waitForCapacityTimeout"], group["healthCheckGracePeriod"]) == ("0", 0)


def test_names_and_tags_are_fixed_and_reach_instances_and_volumes() -> None:
    recorded = build()
    group, made = recorded[GROUP].inputs, recorded[TEMPLATE].inputs
    own = {
        "Name": "prod-w-v1",
        "kubernetes.io/cluster/prod": "owned",
        "nodepools.dev/cluster": "prod",
        "nodepools.dev/pool": "w",
        "nodepools.dev/version": "v1",
        "team": "platform",
    }
    assert group["name"] == made["name"] == "prod-w-v1"
    assert {tag["key"]: tag["value"] for tag in group["tags"]} == own
    assert all(tag["propagateAtLaunch"] for tag in group["tags"])
    assert {entry["resourceType"]: entry["tags"] for entry in made["tagSpecifications"]} == {
        "instance": own,
        "volume": own,
    }
    assert own.items() < made["tags"].items()


def test_user_data_is_rendered_for_this_group() -> None:
    text = base64.b64decode(template().inputs["userData"]).decode()
    for needed in ("cgroup.memory=nokmem", "prod-w-v1", "api.prod.example.com", "/nodepools/prod/join-token"):
        assert needed in text


def test_own_parts_ship_before_the_join_and_compressed_when_they_must_be() -> None:
    script = UserPart("shell-script", "mounts", "#!/bin/sh\n" + "mount -a  # again\n" * 1200)
    data = base64.b64decode(template(make_nodes(user_parts=(script,))).inputs["userData"])
    assert len(data) <= 16384
    text = gzip.decompress(data).decode()
    assert text.index("18-00-mounts") < text.index("20-nodepools-join.sh")


def test_own_parts_that_cannot_ship_are_refused_before_anything_is_registered() -> None:
    with pytest.raises(ConfigError, match="user_parts: part 'mounts' line 1: does not begin with #!"):
        make_nodes(user_parts=(UserPart("shell-script", "mounts", "mount -a"),))
    with pytest.raises(ConfigError, match="user_parts: part 'mounts' line 2: reboot is a second way to reboot"):
        make_nodes(user_parts=(UserPart("shell-script", "mounts", "#!/bin/sh\nreboot\n"),))


def test_the_command_line_prints_what_the_template_ships() -> None:
    stack = Path(__file__).parents[2] / "Pulumi.prod.yaml"
    settings = yaml.safe_load(stack.read_text())["config"]
    config = parse({"cluster": settings["nodepools:cluster"], "pools": settings["nodepools:pools"]})
    version = config.pools["worker"].active
    cluster = ClusterArgs.from_config(config.cluster, settings["aws:region"])
    nodes = NodeArgs.from_config(config.pools["worker"], version)
    sent = template(nodes, cluster=cluster, pool="worker", version=version).inputs["userData"]
    assert base64.b64decode(sent).decode() == from_stack_file(stack, "worker", version)[0]


def test_another_family_brings_its_root_device_and_its_own_join() -> None:
    nodes = make_nodes(os_family="al2023", kernel_arguments=("nosmt",), minimum_kernel="6.1.115")
    made = template(nodes, cluster=make_cluster(join=EksJoin("10.100.0.0/16")))
    assert made.inputs["blockDeviceMappings"][0]["deviceName"] == "/dev/xvda"
    assert 'cidr: "10.100.0.0/16"' in base64.b64decode(made.inputs["userData"]).decode()


def test_a_pointless_argument_is_warned_of(monkeypatch) -> None:
    told = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, resource: told.append(text))
    build()
    assert told == []
    build(make_nodes(os_family="el9"))
    assert told[0].startswith("version v1 of pool w: cgroup.memory=nokmem on RHEL/Rocky 9")


def test_user_data_that_cannot_be_made_ends_the_program_cleanly() -> None:
    with pytest.raises(pulumi.RunError, match="endpoint"):
        build(cluster=make_cluster(endpoint="http://plain.example.com"))


def test_a_family_without_a_shell_has_no_launch_hook_and_needs_the_startup_taint() -> None:
    own = {"os_family": "bottlerocket", "kernel_arguments": (), "minimum_kernel": None}
    with pytest.raises(ConfigError, match="Bottlerocket has no shell to prove itself and answer a launch hook; write"):
        make_nodes(**own)
    recorded = build(make_nodes(**own, startup_taint=True), cluster=make_cluster(join=EksJoin()))
    assert "initialLifecycleHooks" not in recorded[GROUP].inputs
    settings = tomllib.loads(base64.b64decode(recorded[TEMPLATE].inputs["userData"]).decode())["settings"]
    assert "startup-taint.cluster-autoscaler.kubernetes.io/nodepools" in settings["kubernetes"]["node-taints"]
    assert recorded[TEMPLATE].inputs["blockDeviceMappings"][0]["deviceName"] == "/dev/xvdb"


def test_a_group_for_the_autoscaler_tells_it_what_its_nodes_will_have() -> None:
    prefix = "k8s.io/cluster-autoscaler/"
    offered = {f"{prefix}enabled": "true", f"{prefix}node-template/label/kept": "mine"}
    nodes = make_nodes(
        tags=offered,
        labels={"example.com/pool": "worker", "kept": "ours"},
        taints=("example.com/ci=yes:NoSchedule", "example.com/gpu:NoExecute"),
    )
    tags = {tag["key"]: tag for tag in build(nodes)[GROUP].inputs["tags"]}
    told = {
        key.removeprefix(f"{prefix}node-template/"): tag["value"] for key, tag in tags.items() if "template/" in key
    }
    assert told == {
        "label/example.com/pool": "worker",
        "label/kept": "mine",
        "label/nodepools.dev/pool": "w",
        "label/nodepools.dev/version": "v1",
        "label/nodepools.dev/validated": "w-v1",
        "taint/example.com/ci": "yes:NoSchedule",
        "taint/example.com/gpu": ":NoExecute",
    }
    assert not tags[f"{prefix}node-template/taint/example.com/ci"]["propagateAtLaunch"], "instances have 50 tags too"
    assert not [key for key in (tag["key"] for tag in build()[GROUP].inputs["tags"]) if key.startswith(prefix)]


def test_the_created_role_may_finish_hooks_of_its_own_pool_and_read_one_parameter() -> None:
    recorded = build(account="123456789012")
    policy = json.loads(recorded[f"{ROLE}-join"].inputs["policy"])
    allowed = {action: one["Resource"] for one in policy["Statement"] for action in one["Action"]}
    assert allowed == {
        "autoscaling:CompleteLifecycleAction": (
            "arn:aws:autoscaling:us-west-2:123456789012:autoScalingGroup:*:autoScalingGroupName/prod-w-*"
        ),
        "ec2:CreateTags": "arn:aws:ec2:us-west-2:123456789012:instance/*",
        "ssm:GetParameter": "arn:aws:ssm:us-west-2:123456789012:parameter/nodepools/prod/join-token",
    }
    (tagging,) = [one for one in policy["Statement"] if one["Action"] == ["ec2:CreateTags"]]
    assert tagging["Condition"] == {
        "StringEquals": {"aws:ResourceTag/nodepools.dev/cluster": "prod", "aws:ResourceTag/nodepools.dev/pool": "w"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["nodepools.dev/refused"]},
    }
    assert recorded[f"{ROLE}-0"].inputs["policyArn"] == POLICY
    assert {f"{ROLE}-join", f"{ROLE}-0"} <= recorded[GROUP].dependencies
    assert recorded[TEMPLATE].inputs["iamInstanceProfile"]["arn"].endswith("instance-profile/prod-w-v1-us-west-2")


def test_a_join_token_in_secrets_manager_may_be_read_there() -> None:
    join = KubeadmJoin(token_secret="nodepools/prod/join", ca_cert_hashes=("sha256:" + "0" * 64,))
    recorded = build(cluster=make_cluster(join=join), account="123456789012")
    allowed = {
        one["Action"][0]: one["Resource"] for one in json.loads(recorded[f"{ROLE}-join"].inputs["policy"])["Statement"]
    }
    place = "arn:aws:secretsmanager:us-west-2:123456789012:secret:nodepools/prod/join-??????"
    assert allowed["secretsmanager:GetSecretValue"] == place
    assert "ssm:GetParameter" not in allowed


@pytest.mark.parametrize(
    ("region", "partition"), [("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn"), ("eu-west-1", "aws")]
)
def test_rights_name_the_partition_of_the_region(region, partition) -> None:
    recorded = build(cluster=make_cluster(region=region))
    policy = json.loads(recorded[f"{ROLE}-join"].inputs["policy"])
    assert all(one["Resource"].startswith(f"arn:{partition}:") for one in policy["Statement"])


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("nodes", {"name": "nodes"}),
        (
            "arn:aws:iam::123456789012:instance-profile/nodes",
            {"arn": "arn:aws:iam::123456789012:instance-profile/nodes"},
        ),
    ],
)
def test_a_given_instance_profile_is_used_and_no_role_is_created(given, sent) -> None:
    recorded = build(make_nodes(instance_profile=given, role_policies=None))
    assert recorded[TEMPLATE].inputs["iamInstanceProfile"] == sent
    assert not [one for one in recorded.registered if one.type.startswith("aws:iam")]


def test_the_component_says_what_policies_must_judge_in_a_preview() -> None:
    assert build()["w-v1"].inputs == {
        "cluster": "prod",
        "pool": "w",
        "version": "v1",
        "imageId": "ami-0bbbbbbbbbbb77190",
        "osFamily": "el7",
        "kernelArguments": ["cgroup.memory=nokmem"],
        "minimumKernelVersion": "3.10.0-1062.4.1",
        "zones": "spread",
        "labels": {"example.com/pool": "worker"},
        "taints": [],
        "state": "active",
    }


def test_every_child_belongs_to_the_component() -> None:
    recorded = build()
    children = [one for one in recorded.registered if one.name != "w-v1"]
    assert {one.parent for one in children} == {"w-v1"}


def test_shares_of_zones_add_up_and_keep_their_order() -> None:
    shares = parts(SizeArgs(min=2, desired=7, max=11), "abc", {})
    assert [(one.min, one.desired, one.max) for one in shares] == [(1, 3, 4), (1, 2, 4), (0, 2, 3)]


@pytest.mark.parametrize(
    ("begin", "desired", "sizes"),
    [
        ({"a": 1, "b": 1, "c": 2}, 4, [1, 1, 2]),
        ({"c": 3}, 4, [1, 1, 3]),
        ({"a": 1, "b": 1, "c": 2}, 6, [2, 2, 2]),
        ({"a": 1, "z": 3}, 4, [2, 1, 1]),
        ({"a": 9}, 9, [4, 3, 2]),
    ],
    ids=["as they are", "no fewer than min", "more are wanted", "a zone that is left", "no more than max"],
)
def test_zones_begin_as_they_are_within_their_shares(begin, desired, sizes) -> None:
    shares = parts(SizeArgs(min=3, desired=desired, max=12), "abc", begin)
    assert [one.desired for one in shares] == sizes


@given(
    st.lists(st.integers(0, 9), min_size=3, max_size=3).map(sorted),
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9)),
)
def test_what_a_version_begins_with_is_never_less_than_is_wanted_nor_outside_of_its_limits(numbers, begin) -> None:
    least, desired, most = numbers
    shares = parts(SizeArgs(min=least, desired=desired, max=most), "abc", begin)
    assert sum(one.min for one in shares) == least
    assert sum(one.max for one in shares) == most
    assert sum(one.desired for one in shares) >= desired
    if sum(begin.get(zone, 0) for zone in "abc") <= desired and not least:
        assert sum(one.desired for one in shares) == desired


def test_one_group_per_zone_has_its_own_template_that_names_it() -> None:
    zones = {"us-west-2b": [SUBNETS[1]], "us-west-2a": [SUBNETS[0], SUBNETS[2]]}
    recorded = build(make_nodes(zones="each"), zone_subnets=zones)
    first = recorded[f"{GROUP}-us-west-2a"].inputs
    assert first["vpcZoneIdentifiers"] == [SUBNETS[0], SUBNETS[2]]
    text = base64.b64decode(recorded[f"{TEMPLATE}-us-west-2a"].inputs["userData"]).decode()
    assert "prod-w-v1-us-west-2a" in text


def test_a_long_role_name_is_cut_with_a_digest_and_stays_distinct() -> None:
    one, other = fitted("a" * 70 + "1", 64), fitted("a" * 70 + "2", 64)
    assert len(one) == len(other) == 64
    assert one != other
    assert fitted("short", 64) == "short"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: make_args(version="7.10"), r'version: "7.10" reads as a number'),
        (lambda: make_args(pool="Worker"), "pool: .*lower-case"),
        (lambda: make_args(make_nodes(zones="each")), "needs zone_subnets"),
        (lambda: make_nodes(role_policies=None), "either instance_profile or role_policies"),
        (lambda: make_nodes(instance_profile="nodes"), "either instance_profile or role_policies"),
        (lambda: make_nodes(labels={"node-role.kubernetes.io/x": ""}), "NodeRestriction"),
        (lambda: make_nodes(taints=["x"]), "not a taint"),
        (lambda: make_nodes(tags={"aws:x": "y"}), "set by AWS"),
        (lambda: SizeArgs(min=3, desired=2, max=5), "min 3, desired 2, max 5"),
        (lambda: make_args(pool="p" * 40, version="v" * 40), "node label, which takes 63"),
    ],
)
def test_plain_arguments_are_judged_where_they_are_made(make, words) -> None:
    with pytest.raises(ConfigError, match=words):
        make()
