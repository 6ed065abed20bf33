"""Instances run the very user data that they were launched with, and only what it lets through becomes a Node."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aws_case import Aws, running_aws, until
from fleet_case import (
    NEW_IMAGE,
    NOKMEM,
    OLD_IMAGE,
    MemoryNodes,
    eks_user_data,
    in_service,
    launch,
    running_fleet,
    user_data,
)

from pulumi_nodepools import names

pytestmark = pytest.mark.sandbox


@dataclass
class Case:
    aws: Aws
    nodes: MemoryNodes
    folder: Path

    def switch(self, image: str, **switches: str) -> None:
        (self.folder / "switches.json").write_text(json.dumps({image: switches}))

    def records(self, group: str) -> dict[str, dict[str, Any]]:
        file = self.folder / "instances.json"
        read = json.loads(file.read_text()) if file.exists() else {}
        return {key: record for key, record in read.items() if record["group"] == group}

    def ended(self, group: str, state: str) -> dict[str, Any]:
        """The first record of the group in this state."""

        def look() -> dict[str, Any] | None:
            return next((one for one in self.records(group).values() if one["state"] == state), None)

        found: dict[str, Any] = until(look, timeout=90)
        return found

    def node(self, instance_id: str) -> dict[str, Any] | None:
        found = [one for one in self.nodes.nodes.values() if one["spec"]["providerID"].endswith(instance_id)]
        return found[0] if found else None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with running_aws(tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@pytest.fixture
def case(server: Aws, tmp_path: Path) -> Iterator[Case]:
    made = Case(server, MemoryNodes(), tmp_path)
    try:
        yield made
    finally:
        server.switch()
        for group in server.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
            server.autoscaling.delete_auto_scaling_group(
                AutoScalingGroupName=group["AutoScalingGroupName"], ForceDelete=True
            )


@pytest.fixture
def fleet(case: Case) -> Iterator[Case]:
    with running_fleet(case.aws, case.folder, case.nodes):
        yield case


def test_two_nodes_reboot_once_prove_the_argument_and_join(fleet):
    group = launch(fleet.aws, 2)
    ids = in_service(fleet.aws, group, 2)
    until(lambda: len(fleet.nodes.nodes) == 2)
    records = until(lambda: all(one["registered"] for one in fleet.records(group).values()) and fleet.records(group))
    for instance_id in ids:
        record, node = records[instance_id], fleet.node(instance_id)
        assert record["powerOns"] == 2
        assert NOKMEM not in record["boots"][0].split()
        assert record["cmdline"] == record["boots"][1]
        assert NOKMEM in record["cmdline"].split()
        assert record["kubeletStarts"] == [record["cmdline"]], "kubelet started once, on the second boot"
        assert record["validated"]
        labels = node["metadata"]["labels"]
        assert labels[names.VALIDATED_LABEL] == names.validated_value("worker", "7.7.1908")
        assert labels[names.POOL_LABEL] == "worker"
        assert labels["team"] == "ci"
        assert labels["topology.kubernetes.io/zone"] == record["zone"]
        assert node["metadata"]["annotations"] == {"kwok.x-k8s.io/node": "fake"}
        assert node["spec"]["providerID"] == f"aws:///{record['zone']}/{instance_id}"
        assert node["spec"]["taints"] == [{"key": "dedicated", "value": "ci", "effect": "NoSchedule"}]
        assert node["status"]["nodeInfo"]["kernelVersion"] == "3.10.0-1062.4.1.el7.x86_64"
        assert node["metadata"]["name"].endswith(".us-west-2.compute.internal")
    assert records[ids[0]]["zone"] != records[ids[1]]["zone"]


def test_an_old_image_without_requirements_joins_on_its_first_boot(fleet):
    group = launch(fleet.aws, 1, image=OLD_IMAGE, text=user_data(()))
    (instance_id,) = in_service(fleet.aws, group, 1)
    node = until(lambda: fleet.node(instance_id))
    record = fleet.records(group)[instance_id]
    assert record["powerOns"] == 1
    assert "cgroup.memory" not in record["cmdline"]
    assert node["status"]["nodeInfo"]["kernelVersion"] == "3.10.0-957.el7.x86_64"


def test_an_argument_that_is_never_applied_abandons_the_launch_and_never_joins(fleet):
    fleet.switch("ami-0bad0bad0bad0bad0", fault="argument-not-applied")
    group = launch(fleet.aws, 1, image="ami-0bad0bad0bad0bad0")
    record = fleet.ended(group, "terminated")
    assert record["powerOns"] == 2, "one reboot, no loop"
    assert record["reason"] == (
        f"kernel argument {NOKMEM} is not in /proc/cmdline "
        f"(kernel arguments still absent after the one reboot: {NOKMEM})"
    )
    assert not record["joined"]
    assert record["kubeletStarts"] == []
    assert fleet.nodes.nodes == {}
    (activity,) = fleet.aws.activities(group, "Cancelled")
    assert "ABANDON" in activity["StatusMessage"]
    (instance_id,) = [one for one, found in fleet.records(group).items() if found["state"] == "terminated"]
    tags = fleet.aws.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [instance_id]}])["Tags"]
    assert {"nodepools.dev/refused": record["reason"]}.items() <= {tag["Key"]: tag["Value"] for tag in tags}.items()


def test_a_kernel_below_the_floor_is_abandoned(fleet):
    fleet.switch("ami-0dddddddddddd0001", kernel="3.10.0-1062.el7.x86_64")
    group = launch(fleet.aws, 1, image="ami-0dddddddddddd0001")
    record = fleet.ended(group, "terminated")
    assert record["reason"] == "kernel 3.10.0-1062.el7.x86_64 is older than 3.10.0-1062.4.1"
    assert not record["joined"]


def test_an_image_that_cannot_join_is_abandoned_and_relaunched(fleet):
    fleet.switch("ami-0dddddddddddd0002", fault="abandon")
    group = launch(fleet.aws, 1, image="ami-0dddddddddddd0002")
    until(lambda: len(fleet.aws.activities(group, "Cancelled")) >= 2, timeout=90)
    reasons = {one["reason"] for one in fleet.records(group).values() if one["state"] == "terminated"}
    assert reasons == {"kubeadm join 127.0.0.1:6443 failed with status 1"}
    assert fleet.nodes.nodes == {}


def test_a_terminated_instance_loses_its_node(fleet):
    group = launch(fleet.aws, 2)
    ids = in_service(fleet.aws, group, 2)
    until(lambda: len(fleet.nodes.nodes) == 2)
    # Without a replacement, which may well get the same address and so the same Node name.
    fleet.aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=group, MinSize=0)
    fleet.aws.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=ids[0], ShouldDecrementDesiredCapacity=True
    )
    until(lambda: fleet.node(ids[0]) is None)
    assert fleet.node(ids[1]) is not None, "the other one stays"
    assert until(lambda: fleet.records(group)[ids[0]]["state"] == "terminated")


def test_an_eks_node_joins_with_the_bootstrap_script_of_its_image(fleet):
    group = launch(fleet.aws, 1, text=eks_user_data())
    (instance_id,) = in_service(fleet.aws, group, 1)
    node = until(lambda: fleet.node(instance_id))
    assert node["metadata"]["labels"][names.VALIDATED_LABEL] == "worker-7.7.1908"


def test_user_data_that_nobody_can_run_is_told_and_nothing_joins(fleet):
    group = launch(fleet.aws, 1, text="hello")
    record = fleet.ended(group, "failed")
    assert "neither multipart MIME nor a script" in record["reason"]


def test_a_node_dies_when_its_image_is_switched_to_dead(fleet):
    group = launch(fleet.aws, 1)
    (instance_id,) = in_service(fleet.aws, group, 1)
    node = until(lambda: fleet.node(instance_id))
    fleet.switch(NEW_IMAGE, fault="dead")
    until(lambda: fleet.nodes.killed == [node["metadata"]["name"]])


def test_errors_of_aws_and_of_the_api_server_are_outlived(fleet, caplog):
    fleet.nodes.failures = 3
    fleet.aws.switch(expiredToken=True)
    until(lambda: "RequestExpired" in caplog.text)
    fleet.aws.switch()
    (instance_id,) = in_service(fleet.aws, launch(fleet.aws, 1), 1)
    until(lambda: fleet.node(instance_id))
    assert "no API server yet" in caplog.text
    assert caplog.text.count("RequestExpired") < 10, "a standing problem is told once"


def test_an_image_that_could_not_be_looked_up_is_looked_up_again(fleet, caplog):
    fleet.aws.switch(denyActions=["ec2:DescribeImages"])
    group = launch(fleet.aws, 1, image=OLD_IMAGE, text=user_data(()))
    until(lambda: "DescribeImages" in caplog.text)
    fleet.aws.switch()
    (instance_id,) = in_service(fleet.aws, group, 1)
    node = until(lambda: fleet.node(instance_id))
    assert node["status"]["nodeInfo"]["kernelVersion"] == "3.10.0-957.el7.x86_64"


def test_nodes_stay_while_aws_cannot_be_asked(fleet, caplog):
    group = launch(fleet.aws, 1)
    (instance_id,) = in_service(fleet.aws, group, 1)
    until(lambda: fleet.node(instance_id))
    fleet.aws.switch(denyActions=["ec2:DescribeInstances"])
    try:
        until(lambda: "UnauthorizedOperation" in caplog.text)
        fleet.aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=group, ForceDelete=True)
        caplog.clear()
        assert fleet.node(instance_id) is not None, "an error is not an answer"
    finally:
        fleet.aws.switch()
    until(lambda: fleet.node(instance_id) is None)


def test_a_fleet_that_starts_again_boots_nothing_twice_and_buries_what_went(case):
    with running_fleet(case.aws, case.folder, case.nodes):
        group = launch(case.aws, 2)
        ids = in_service(case.aws, group, 2)
        until(lambda: all(one["registered"] for one in case.records(group).values()))
    before = case.records(group)
    case.aws.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=ids[0], ShouldDecrementDesiredCapacity=False
    )
    with running_fleet(case.aws, case.folder, case.nodes):
        until(lambda: case.node(ids[0]) is None)
    assert case.node(ids[1]) is not None
    assert case.records(group)[ids[1]] == before[ids[1]]


def test_stopping_does_not_wait_for_running_scripts(case):
    with running_fleet(case.aws, case.folder, case.nodes):
        group = launch(case.aws, 1, text="#!/bin/sh\necho started >&2\nexec sleep 100\n")
        outputs = case.folder / "roots"
        until(lambda: any(file.read_text() for file in outputs.glob("*/var/lib/output")))
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert all(one["state"] != "joined" for one in case.records(group).values())


def test_a_boot_that_the_fleet_left_unfinished_goes_on_when_it_starts_again(case):
    script = """#!/bin/sh
[ -e "$NODEPOOLS_ROOT/go-on" ] || { echo started >&2; exec sleep 100; }
kubeadm join 127.0.0.1:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:00
"""
    with running_fleet(case.aws, case.folder, case.nodes):
        group = launch(case.aws, 1, text=script)
        (output,) = until(lambda: list(case.folder.glob("roots/*/var/lib/output")), timeout=90)
        until(output.read_text)
    (instance_id,) = case.records(group)
    assert case.records(group)[instance_id]["state"] == "booting"
    (case.folder / "roots" / instance_id / "go-on").touch()
    with running_fleet(case.aws, case.folder, case.nodes):
        until(lambda: case.node(instance_id), timeout=90)
