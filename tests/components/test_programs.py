"""Whole programs against the mock engine: the stack's own __main__.py and the examples of the documentation."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
import yaml

from pulumi_nodepools import NodePoolsError
from tests.components.conftest import SUBNETS
from tests.components.engine import Recording, run

ROOT = Path(__file__).resolve().parents[2]
CERTIFICATE = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"


def prod() -> dict[str, Any]:
    """The configuration of Pulumi.prod.yaml."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]
    return config


def run_program(path: Path, config: dict[str, Any]) -> Recording:
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    pulumi.runtime.set_all_config(texts)
    try:
        return run(lambda: runpy.run_path(str(path), run_name="__main__"))
    finally:
        pulumi.runtime.set_all_config({})


def test_the_stack_builds_the_pool_of_its_configuration(surveyed) -> None:
    surveyed()
    recorded = run_program(ROOT / "__main__.py", prod())
    group = recorded["worker-7.6.1810-group"]
    assert (group.inputs["minSize"], group.inputs["desiredCapacity"], group.inputs["maxSize"]) == (3, 14, 20)
    rights = {one.name for one in recorded.registered if one.type.startswith("kubernetes:")}
    assert rights <= group.dependencies, "the drain needs its rights until the group is gone"
    assert recorded["worker-7.6.1810-drain"].inputs["drain"]["barePods"] == "allow"


def test_the_patched_version_is_one_edit_away(surveyed) -> None:
    surveyed(live=12)
    text = (ROOT / "Pulumi.prod.yaml").read_text()
    marked = text.split('# "7.7.1908":', 1)[1].split("\n      drain:", 1)[0]
    version = yaml.safe_load("\n".join(line.strip().removeprefix("# ") for line in marked.splitlines()))
    config = prod()
    config["nodepools:pools"]["worker"] |= {"active": "7.7.1908", "versions": {"7.7.1908": version}}
    recorded = run_program(ROOT / "__main__.py", config)
    assert recorded["worker-7.7.1908-group"].inputs["desiredCapacity"] == 12, "as large as the pool is now"
    assert recorded["worker-gate"].inputs["kernelArguments"] == ["cgroup.memory=nokmem"]
    assert recorded["worker-gate"].inputs["minimumKernelVersion"] == "3.10.0-1062.4.1"


def test_a_stack_without_pools_keeps_the_rights_that_removal_needs(surveyed) -> None:
    surveyed()
    recorded = run_program(ROOT / "__main__.py", prod() | {"nodepools:pools": {}})
    assert recorded.of(":ClusterRole")
    assert not recorded.of(":Group")


def stopped(config: dict[str, Any], caplog: pytest.LogCaptureFixture) -> str:
    """The one error with which the stack's program ends."""
    with pytest.raises(SystemExit) as ended:
        run_program(ROOT / "__main__.py", config)
    assert ended.value.code == 32, "any other code makes the host add an error of its own"
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    return record.getMessage()


def test_bad_configuration_ends_the_program_with_one_message(surveyed, caplog) -> None:
    asked = surveyed()
    config = prod()
    config["nodepools:pools"]["worker"]["active"] = "9.9.9"
    assert 'pools.worker.active: "9.9.9" is not listed' in stopped(config, caplog)
    assert asked == [], "nothing is looked at before the configuration is right"


def test_a_failed_look_at_the_cluster_ends_the_program_with_one_message(surveyed, caplog) -> None:
    surveyed(error=NodePoolsError("cluster prod did not answer"))
    assert stopped(prod(), caplog) == "cluster prod did not answer"


def test_a_missing_region_is_named(surveyed, caplog) -> None:
    surveyed()
    config = prod()
    del config["aws:region"]
    assert "aws:region" in stopped(config, caplog)


def test_example_of_a_pool_in_another_stack(surveyed) -> None:
    surveyed()
    config = {
        "nodepools:networkStack": "org/network/prod",
        "nodepools:cluster": "prod",
        "nodepools:imageId": "ami-0bbbbbbbbbbb77190",
        "nodepools:subnetIds": list(SUBNETS),
        "aws:region": "us-west-2",
    }
    recorded = run_program(ROOT / "docs/examples/imported_pool/__main__.py", config)
    assert recorded["batch-7.7.1908-drain"].dependencies == {"batch-7.7.1908-group"}
    assert recorded["batch-7.7.1908-drain"].inputs["access"]["kind"] == "eks"


def test_example_of_a_hook_in_front_of_a_managed_node_group(monkeypatch) -> None:
    cluster = SimpleNamespace(cluster_uid="uid-of-kube-system")
    monkeypatch.setattr("pulumi_nodepools.cluster.client.Client.connect", lambda _access: cluster)
    config = {
        "nodepools:cluster": "prod",
        "nodepools:nodeRoleArn": "arn:aws:iam::123456789012:role/nodes",
        "nodepools:subnetIds": list(SUBNETS),
        "aws:region": "us-west-2",
    }
    recorded = run_program(ROOT / "docs/examples/node_group/__main__.py", config)
    hook = recorded["batch-drain"]
    assert hook.dependencies == {"batch"}
    assert hook.property_dependencies["selector"] == {"batch"}, "a replaced group replaces its hook"
    assert (hook.inputs["clusterUid"], hook.inputs["groups"]) == ("uid-of-kube-system", [])
    assert hook.inputs["urn"] == hook.urn


def test_example_of_a_node_pool_alone() -> None:
    config = {
        "nodepools:vpcId": "vpc-0123456789abcdef0",
        "nodepools:zoneSubnets": {"us-west-2a": [SUBNETS[0]], "us-west-2b": [SUBNETS[1]]},
        "nodepools:endpoint": "https://api.example.com",
        "nodepools:certificateAuthority": CERTIFICATE,
        "nodepools:caCertHashes": ["sha256:" + "0" * 64],
        "nodepools:imageId": "ami-0bbbbbbbbbbb77190",
        "aws:region": "us-west-2",
    }
    recorded = run_program(ROOT / "docs/examples/bare_pool/__main__.py", config)
    sizes = {one.name: one.inputs["desiredCapacity"] for one in recorded.of(":Group")}
    assert sizes == {"scratch-v1-group-us-west-2a": 2, "scratch-v1-group-us-west-2b": 1}
    template = recorded["scratch-v1-template-us-west-2a"].inputs
    assert template["networkInterfaces"][0]["securityGroups"] == ["nodes-id"]


def test_example_of_machines_that_are_there_already() -> None:
    hosts = {"web-1": {"address": "10.0.0.1", "host_key": "ssh-ed25519 AAAA"}}
    config = {"nodepools:hosts": hosts, "nodepools:privateKey": "KEY"}
    recorded = run_program(ROOT / "docs/examples/existing_hosts/__main__.py", config)
    assert "cgroup.memory=nokmem" in recorded["patched-web-1"].inputs["stdin"]
