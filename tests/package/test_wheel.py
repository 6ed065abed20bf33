"""What another team gets from the package index: the built wheel in an environment of its own."""

import json
import os
import subprocess
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.package import wheel
from tests.package.wheel import REPOSITORY

PROGRAM = """
import pulumi
from pulumi.runtime import mocks, set_mocks

registered = []

class Answers(mocks.Mocks):
    def new_resource(self, args):
        registered.append(args.typ)
        return args.name + "-id", {**args.inputs, "arn": "arn:aws:autoscaling:::" + args.name, "latestVersion": 1}

    def call(self, args):
        return {}

set_mocks(Answers())

import pulumi_nodepools
from components import team

pulumi.runtime.test(lambda: team.pool().group_names)()
print(pulumi_nodepools.__file__, team.__file__, *sorted(set(registered)), sep="\\n")
"""
TEAM = """
from pulumi_nodepools import Access, ClusterArgs, KubeadmJoin, NodeArgs, NodePool, NodePoolArgs, SizeArgs

def pool():
    cluster = ClusterArgs(
        name="prod", endpoint="https://api.example.com:6443", certificate_authority="LS0tLS1CRUdJTg==",
        join=KubeadmJoin(token_parameter="/nodepools/prod/join-token", ca_cert_hashes=("sha256:" + "0" * 64,)),
        access=Access(kind="kubeconfig"), region="us-west-2",
    )
    nodes = NodeArgs(
        image_id="ami-0bbbbbbbbbbb77190", instance_type="m5.large", subnet_ids=("subnet-0aaaaaaaaaaaaaaa1",),
        security_group_ids=("sg-0123456789abcdef0",), kernel_arguments=("cgroup.memory=nokmem",), role_policies=(),
    )
    size = SizeArgs(min=0, desired=3, max=6)
    return NodePool("batch-v1", NodePoolArgs(cluster=cluster, pool="batch", version="v1", nodes=nodes, size=size))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with wheel and source archive."""
    return wheel.build(tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def project(built, tmp_path_factory):
    """An empty project with a `components` folder, whose environment has the wheel and sees the dependencies."""
    folder = tmp_path_factory.mktemp("project")
    wheel.environment(folder / "venv", built)
    (folder / "components").mkdir()
    (folder / "components" / "team.py").write_text(TEAM)
    return folder


def run(project, *words):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PULUMI"))}
    python = project / "venv" / "bin" / "python"
    return subprocess.run([python, *words], cwd=project, env=env, check=True, capture_output=True, text=True).stdout


def test_wheel_has_the_library_its_types_and_its_page_and_nothing_else(built):
    (found,) = built.glob("*.whl")
    with zipfile.ZipFile(found) as archive:
        names = set(archive.namelist())
    assert {"pulumi_nodepools/py.typed", "pulumi_nodepools/reporting/report.css"} <= names
    assert {name.split("/")[0] for name in names} == {"pulumi_nodepools", "pulumi_nodepools-0.1.0.dist-info"}
    committed = {str(path.relative_to(REPOSITORY / "components")) for path in (REPOSITORY / "components").rglob("*.py")}
    assert committed == {name for name in names if name.endswith(".py")}


def test_metadata_is_complete(built):
    (found,) = built.glob("*.whl")
    with zipfile.ZipFile(found) as archive:
        metadata = message_from_bytes(archive.read("pulumi_nodepools-0.1.0.dist-info/METADATA"))
        assert any(name.endswith("LICENSE") for name in archive.namelist())
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    assert metadata.get_all("Provides-Extra") is None


def test_source_archive_builds_the_same(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "components/pulumi_nodepools/reporting/report.css"} <= names


def test_a_program_with_its_own_components_folder_runs_with_the_installed_wheel(project):
    (project / "program.py").write_text(PROGRAM)
    library, team, *registered = run(project, "program.py").split()
    assert Path(library).is_relative_to(project / "venv")
    assert Path(team) == project / "components" / "team.py"
    assert {"nodepools:aws:NodePool", "aws:autoscaling/group:Group"} <= set(registered)


def test_the_command_works_from_the_wheel(project):
    assert json.loads(run(project, "-m", "pulumi_nodepools.cli", "report", "--schema"))["$schema"]


HEAVY = ("pulumi_aws", "pulumi_kubernetes", "pulumi_command", "pydantic", "rich", "typer", "boto3", "kubernetes")


@pytest.mark.parametrize(
    ("module", "allowed", "modules"),
    [
        ("pulumi_nodepools", set(), 1),
        ("pulumi_nodepools.drain.machine", set(), 40),
        ("pulumi_nodepools.reporting", set(), 15),
        # The plugin's process imports it for every operation.
        ("pulumi_nodepools.hooks.drain_hook", set(), 20),
        ("pulumi_nodepools.cli", {"rich", "typer"}, 200),
    ],
)
def test_importing_loads_only_what_it_needs(project, module, allowed, modules):
    """The budget of an import: heavy packages by name, and how many modules of our own."""
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = run(project, "-c", code).split()
    assert {*HEAVY} & {*loaded} <= allowed
    assert sum(name.startswith("pulumi_nodepools") for name in loaded) <= modules
