"""The examples that need no EKS, with the real engine: a preview of each, and updates of the fleet."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pulumi_nodepools import names
from sandbox.engine import REPOSITORY, Project
from tests.e2e.conftest import NEW, NEW_SPEC, Cloud
from tests.rights_case import environment, lay_down_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

EXAMPLES = REPOSITORY / "examples"
NEEDS_EKS = {"existing_eks", "pulumi_eks", "node_group"}
UPDATED = {"fleet"}
PREVIEWED = sorted({path.parent.name for path in EXAMPLES.glob("*/__main__.py")} - NEEDS_EKS - UPDATED)
CLUSTER = """
import pulumi
pulumi.export("endpoint", "https://api.prod.example.com:6443")
pulumi.export("certificateAuthority", "LS0tLS1CRUdJTg==")
pulumi.export("nodeSecurityGroup", "sg-0123456789abcdef0")
"""


@contextmanager
def another_stack(cloud: Cloud, folder: Path) -> Iterator[None]:
    """The one that stack_reference refers to."""
    (folder / "source").mkdir(parents=True)
    (folder / "source" / "Pulumi.yaml").write_text((EXAMPLES / "kubeadm" / "Pulumi.yaml").read_text())
    (folder / "source" / "__main__.py").write_text(CLUSTER)
    project = Project(folder / "cluster", cloud.sandbox.env, source=folder / "source")
    file = project.folder / "Pulumi.yaml"
    file.write_text(file.read_text().replace("name: kubeadm", "name: cluster"))
    project.create()
    project.up("--skip-preview").expect()
    yield
    project.run("stack", "rm", "--stack", project.stack, "--yes", "--force")


@contextmanager
def another_group(cloud: Cloud, _folder: Path) -> Iterator[None]:
    """The one that adoption adopts; empty, since a preview only looks whether it is there."""
    group, template = {"AutoScalingGroupName": "legacy-workers"}, {"LaunchTemplateName": "legacy-workers"}
    data = {"ImageId": NEW_SPEC["imageId"], "InstanceType": "m5.large"}
    cloud.aws("ec2").create_launch_template(**template, LaunchTemplateData=data)
    sizes = {"MinSize": 0, "MaxSize": 6, "DesiredCapacity": 0, "AvailabilityZones": ["us-west-2a"]}
    cloud.aws("autoscaling").create_auto_scaling_group(**group, **sizes, LaunchTemplate={**template, "Version": "1"})
    yield
    cloud.aws("autoscaling").delete_auto_scaling_group(**group, ForceDelete=True)
    cloud.aws("ec2").delete_launch_template(**template)


@contextmanager
def nothing(_cloud: Cloud, _folder: Path) -> Iterator[None]:
    yield


BEFORE = {"stack_reference": another_stack, "adoption": another_group}
SHOWN = {
    "adoption": "worker-cutover",
    "bare_pool": "scratch-v1-group-us-west-2b",
    "existing_hosts": "patched-web-1",
    "kubeadm": "worker-7.7.1908-group",
    "several_pools": "build-v1-group",
    "spot": "batch-v1-template",
    "stack_reference": "batch-7.7.1908-drain",
}


@pytest.mark.parametrize("name", PREVIEWED)
def test_an_example_is_previewed_as_it_stands_there(cloud: Cloud, tmp_path: Path, name: str) -> None:
    with BEFORE.get(name, nothing)(cloud, tmp_path):
        rights = environment(cloud.sandbox, "preview", user="reader")
        project = Project(tmp_path / name, cloud.sandbox.env | rights, source=EXAMPLES / name)
        project.create()
        if name == "existing_hosts":
            project.run("config", "set", "--secret", "privateKey", "KEY", "--stack", "prod").expect()
        shown = project.preview().expect().output
        assert SHOWN[name] in shown
        project.run("stack", "rm", "--stack", project.stack, "--yes", "--force")


CLUSTERS = ("staging", "eu", "us", "asia")


@pytest.fixture
def fleet(cloud: Cloud, tmp_path: Path) -> Iterator[Project]:
    """Four clusters that are one in truth, told apart by their pools' names; `eu` names a subnet that is not there."""
    lay_down_for(cloud.sandbox, *CLUSTERS)
    rights = environment(cloud.sandbox, "operator")
    project = Project(tmp_path / "fleet", cloud.sandbox.env | rights, stack="staging", source=EXAMPLES / "fleet")
    text = project.config_file.read_text()
    for name in CLUSTERS:
        broken = text.replace("subnet-0aaaaaaaaaaaaaaa1", "subnet-0ddddddddddddddd4") if name == "eu" else text
        (project.folder / f"Pulumi.{name}.yaml").write_text(broken)
    yield project
    skip = ",".join(f"{name}/{name}-worker/{NEW}" for name in CLUSTERS)
    for name in CLUSTERS:
        project.stack = name
        project.destroy("--skip-preview", env={names.DRAIN_SKIP_VARIABLE: skip})
        project.run("stack", "rm", "--stack", name, "--yes", "--force")


def roll(project: Project, *waves: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "roll.py", NEW, NEW_SPEC["imageId"], *waves]
    return subprocess.run(
        command, check=False, cwd=project.folder, env=project.env, capture_output=True, text=True, timeout=300
    )


@pytest.mark.scenario
def test_the_fleet_stops_after_the_wave_with_a_bad_cluster_and_goes_on_once_it_is_mended(cloud: Cloud, fleet) -> None:
    stopped = roll(fleet, "staging", "eu,us", "asia")
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    assert "subnet-0ddddddddddddddd4" in stopped.stdout
    assert "wave 2 of 3: eu, us: 1 failed\nstopped at eu; untouched: asia" in stopped.stdout
    groups = cloud.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    made = {group["AutoScalingGroupName"] for group in groups}
    assert {f"{name}-{name}-worker-{NEW}" for name in ("staging", "us")} <= made
    assert not any(name.startswith(("eu-", "asia-")) for name in made)

    fine = (fleet.folder / "Pulumi.us.yaml").read_text()
    (fleet.folder / "Pulumi.eu.yaml").write_text(fine)
    again = roll(fleet, "staging", "eu,us", "asia")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "wave 3 of 3: asia: 0 failed" in again.stdout
