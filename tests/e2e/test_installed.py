"""Another team's project: outside this repository, with its own `components` beside it and the wheel from an index."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_nodepools import names
from sandbox.engine import REPOSITORY, Project
from tests.e2e.conftest import NEW, OLD, Cloud
from tests.package import wheel
from tests.rights_case import environment

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(400)]

PROGRAM = """
import sys

import pulumi
import pulumi_nodepools
from components import team

pulumi.export("groups", team.pool(pulumi.Config()).group_names)
pulumi.export("library", pulumi_nodepools.__file__)
pulumi.export("team", team.__file__)
"""
TEAM = """
from pulumi_nodepools import (
    Access, BlueGreenNodePool, BlueGreenNodePoolArgs, ClusterArgs, DrainSettings, GateArgs, KubeadmJoin, NodeArgs,
)

def pool(settings):
    cluster = ClusterArgs(
        name="prod", endpoint="https://api.example.com:6443", certificate_authority="LS0tLS1CRUdJTg==",
        join=KubeadmJoin(token_parameter="/nodepools/prod/join-token", ca_cert_hashes=("sha256:" + "0" * 64,)),
        access=Access(kind="kubeconfig"), region="us-west-2",
    )
    version = settings.require("version")
    nodes = NodeArgs(
        image_id=settings.require("imageId"), instance_type="m5.large", subnet_ids=("subnet-0aaaaaaaaaaaaaaa1",),
        security_group_ids=("sg-0123456789abcdef0",), role_policies=(),
    )
    args = BlueGreenNodePoolArgs(
        cluster=cluster, pool="team", active=version, versions={version: nodes}, min_size=2, max_size=4,
        gate=GateArgs(timeout=90, consecutive=1, interval=0.5), drain=DrainSettings(batch_size="50%"),
    )
    return BlueGreenNodePool("team", args)
"""
STACK = {OLD: "ami-0aaaaaaaaaaa76181", NEW: "ami-0bbbbbbbbbbb77190"}


@pytest.fixture
def project(cloud: Cloud, tmp_path: Path) -> Iterator[Project]:
    source = tmp_path / "source"
    source.mkdir()
    (source / "Pulumi.yaml").write_text((REPOSITORY / "Pulumi.yaml").read_text().replace("nodepools", "team"))
    (source / "Pulumi.prod.yaml").write_text("config:\n  aws:region: us-west-2\n")
    (source / "__main__.py").write_text(PROGRAM)
    folder = tmp_path / "project"
    (folder / "components").mkdir(parents=True)
    (folder / "components" / "team.py").write_text(TEAM)
    (tmp_path / "copy").mkdir()
    (tmp_path / "dist").mkdir()
    wheel.environment(folder / ".venv", wheel.build(tmp_path / "dist", tmp_path / "copy"))
    project = Project(folder, cloud.sandbox.env | environment(cloud.sandbox, "operator"), source=source)
    project.create()
    yield project
    skip = ",".join(f"prod/team/{version}" for version in STACK)
    project.destroy("--skip-preview", env={names.DRAIN_SKIP_VARIABLE: skip})
    project.run("stack", "rm", "--stack", project.stack, "--yes", "--force")


def _up(project: Project, version: str) -> None:
    settings = {"team:version": version, "team:imageId": STACK[version]}
    project.edit(lambda config: config.update(settings))
    assert "Traceback" not in project.up("--skip-preview").expect().output


def test_a_project_with_the_wheel_alone_rolls_its_pool(cloud: Cloud, project: Project) -> None:
    _up(project, OLD)
    cloud.deployment("guest", "team", replicas=2, budget={"maxUnavailable": 1})
    try:
        _up(project, NEW)
        running = {pod["spec"]["nodeName"] for pod in cloud.pods("guest")}
        assert running <= {node["metadata"]["name"] for node in cloud.nodes("team", NEW)}
    finally:
        cloud.remove("guest")
    assert cloud.nodes("team", OLD) == []
    used = {name: project.run("stack", "output", name, echo=False).expect().output for name in ("library", "team")}
    assert used["library"].startswith(str(project.folder / ".venv" / f"lib/python{sys.version[:4]}"))
    assert used["team"].startswith(str(project.folder / "components"))
