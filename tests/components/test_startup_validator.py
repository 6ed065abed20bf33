"""The StartupValidator component: what it asks the cluster for."""

import json
from pathlib import Path

import pytest
import yaml

from pulumi_nodepools import ConfigError, StartupValidator
from pulumi_nodepools.config import parse
from pulumi_nodepools.pod_files import config_map_data, validator_files
from tests.components.conftest import make_nodes
from tests.components.engine import run

IMAGE = "python:3.12-slim@sha256:" + "ab" * 32


def build(**versions):
    return run(lambda: StartupValidator("worker-startup", "worker", versions, IMAGE) and None)


def test_pods_run_the_program_on_the_pools_nodes_whatever_taints_those_have():
    recorded = build(v2=make_nodes(startup_taint=True, minimum_kernel="6.1.0"), v1=make_nodes())
    by_type = {one.type: one.inputs for one in recorded.registered}
    config = by_type["kubernetes:core/v1:ConfigMap"]["data"]
    assert json.loads(config["requirements.json"]) == {
        "worker-v2": {"kernelArguments": ["cgroup.memory=nokmem"], "minimumKernel": "6.1.0"}
    }, "versions without the taint are none of its business"
    assert config_map_data(validator_files()).items() < config.items()
    spec = by_type["kubernetes:apps/v1:DaemonSet"]["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"nodepools.dev/pool": "worker"}
    assert spec["tolerations"] == [{"operator": "Exists"}]
    (container,) = spec["containers"]
    assert container["image"] == IMAGE
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    items = {item["key"]: item["path"] for item in spec["volumes"][0]["configMap"]["items"]}
    assert (
        items["pulumi_nodepools.in_cluster.startup_validator.py"] == "pulumi_nodepools/in_cluster/startup_validator.py"
    )
    assert set(items) == set(config)


def test_its_account_may_read_and_patch_nodes_and_nothing_else():
    (role,) = [one for one in build(v2=make_nodes(startup_taint=True)).registered if one.type.endswith(":ClusterRole")]
    assert role.inputs["rules"] == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "patch"]}]


def test_an_image_without_digest_is_refused():
    with pytest.raises(ConfigError, match=r"StartupValidator w: \"python:3.12\" is not an image with its digest"):
        StartupValidator("w", "worker", {}, "python:3.12")


def pools(**changes):
    stack = yaml.safe_load(Path("Pulumi.prod.yaml").read_text())["config"]
    pool = {**stack["nodepools:pools"]["worker"], **changes}
    return parse({"cluster": stack["nodepools:cluster"], "pools": {"worker": pool}}).pools["worker"]


def test_a_startup_taint_needs_a_validator():
    with pytest.raises(ConfigError, match=r"has startupTaint, and nobody would take it away; write startupValidator"):
        pools(startupTaint=True)
    assert pools(startupTaint=True, startupValidator={"image": IMAGE}).startup_taint


def test_a_validators_image_is_pinned():
    with pytest.raises(ConfigError, match=r"startupValidator.image: .* is not an image with its digest"):
        pools(startupValidator={"image": "python:3.12"})
