"""Bad input and a bad world, with the real engine: one clear error, and nothing was changed."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from sandbox.engine import Config, Project, Run
from tests.e2e.conftest import NEW, NEW_SPEC, Cloud, activate

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def _refused(run: Run, *words: str) -> None:
    run.fails()
    for word in words:
        assert word in run.output, run.output
    assert "Traceback" not in run.output
    diagnostics = run.output.rpartition("Diagnostics:")[2]
    errors = re.findall(r"^    error: (.*)", diagnostics, re.MULTILINE)
    # The engine closes a failed update with a line of its own.
    assert len([error for error in errors if error != "update failed"]) == 1, run.output
    assert not re.search(r"(aws|kubernetes|dynamic)\S* \S+ creat", run.output), "nothing may be changed"


def _set(*path: str, value: Any) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        target = config["nodepools:pools"]["input"]
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return change


def _unquoted_version(config: Config) -> None:
    pool = config["nodepools:pools"]["input"]
    pool["active"], pool["versions"] = 7.1, {7.1: NEW_SPEC}


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project("input")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(_set("instanceTyp", value="m5.large"), ["pools.input", "instanceTyp", "instanceType"], id="key"),
        pytest.param(_set("size", "min", value="three"), ["pools.input.size.min", "three"], id="type"),
        pytest.param(_set("active", value="9.9.9"), ["pools.input.active", "9.9.9", "7.6.1810"], id="active"),
        pytest.param(_unquoted_version, ["7.1", "quote"], id="number"),
    ],
)
def test_what_the_user_wrote_is_refused_by_field_value_and_fix(
    project: Project, cloud: Cloud, change: Callable[[Config], None], words: list[str]
) -> None:
    project.edit(change)
    _refused(project.up("--skip-preview"), *words)
    assert not cloud.groups("input")


def test_yaml_that_is_none_is_the_engines_own_error(project: Project, cloud: Cloud) -> None:
    project.config_file.write_text(project.config_file.read_text() + "\n  }: [")
    failed = project.up("--skip-preview").fails()
    assert "invalid YAML" in failed.output
    assert not cloud.groups("input")


def test_an_unreachable_cluster_is_named_with_its_address(project: Project, cloud: Cloud, tmp_path) -> None:
    document = yaml.safe_load(cloud.sandbox.kubeconfig.read_text())
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(document))
    _refused(project.up("--skip-preview", env={"KUBECONFIG": str(kubeconfig)}), "127.0.0.1:1")
    assert not cloud.groups("input")


def test_missing_rights_are_listed(project: Project, cloud: Cloud, tmp_path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    cloud.sandbox.control_plane.mint_kubeconfig(kubeconfig, "somebody")
    env = {"KUBECONFIG": str(kubeconfig)}
    _refused(project.up("--skip-preview", env=env), 'cannot get resource "namespaces"', "somebody")

    rbac = "/apis/rbac.authorization.k8s.io/v1"
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "namespace-reader"}}
    rule = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}
    cloud.client.create(f"{rbac}/clusterroles", {**kind, "kind": "ClusterRole", "rules": [rule]})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "namespace-reader"}
    bound = {"roleRef": role, "subjects": [{"kind": "User", "name": "somebody"}]}
    cloud.client.create(f"{rbac}/clusterrolebindings", {**kind, "kind": "ClusterRoleBinding", **bound})
    refused = project.up("--skip-preview", env=env)
    _refused(refused, "rights", "create pods/eviction", "list poddisruptionbudgets.policy", "patch nodes")
    assert not cloud.groups("input")


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        pytest.param({"expiredToken": True}, ["expired"], id="expired"),
        pytest.param(
            {
                "availableIpAddressCount": {
                    "subnet-0aaaaaaaaaaaaaaa1": 0,
                    "subnet-0bbbbbbbbbbbbbbb2": 0,
                    "subnet-0ccccccccccccccc3": 1,
                }
            },
            ["free addresses"],
            id="addresses",
        ),
    ],
)
def test_what_aws_would_refuse_is_found_before_anything_is_created(
    project: Project, cloud: Cloud, switches: dict[str, Any], words: list[str]
) -> None:
    path = cloud.sandbox.root / "aws" / "aws-switches.json"
    path.write_text(json.dumps(switches))
    try:
        _refused(project.up("--skip-preview"), *words)
    finally:
        path.write_text("{}")
    assert not cloud.groups("input")


def test_a_changed_version_is_refused_as_immutable(project: Project, cloud: Cloud) -> None:
    project.edit(activate("input", NEW, NEW_SPEC))
    project.up("--skip-preview").expect()
    project.edit(_set("versions", NEW, "imageId", value="ami-0cccccccccccccccc"))
    for run in (project.preview(), project.up("--skip-preview")):
        run.fails()
        assert f"version {NEW} is immutable" in run.output
        assert "ami-0bbbbbbbbbbb77190" in run.output
    group = cloud.groups("input")[NEW]
    assert group["DesiredCapacity"] == 2
