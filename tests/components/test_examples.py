"""The programs in examples/ against the mock engine, with the configuration that stands beside each of them."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.components.engine import Recording, run_program

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
STACKS = {path.parent.name: path for path in sorted(EXAMPLES.glob("*/Pulumi.*.yaml"))}


def recorded(example: str, **more: Any) -> Recording:
    """What the example registers; `more` are further settings of its own."""
    project = yaml.safe_load((EXAMPLES / example / "Pulumi.yaml").read_text())["name"]
    config = yaml.safe_load(STACKS[example].read_text())["config"]
    own = {f"{project}:{key}": value for key, value in more.items()}
    return run_program(EXAMPLES / example / "__main__.py", config | own, project)


def test_every_example_is_complete_listed_shown_and_tested() -> None:
    folders = {path.parent.name for path in EXAMPLES.glob("*/*") if path.suffix != ".pyc"}
    listed, page = (EXAMPLES / "README.md").read_text(), (EXAMPLES.parent / "docs/examples.md").read_text()
    for name in folders:
        assert name in STACKS, f"{name} has no stack file that it could be run with"
        assert f"({name}/" in listed, f"{name} has no line in examples/README.md"
        assert f'\n--8<-- "examples/{name}/__main__.py"\n' in page, f"{name} is not shown in docs/examples.md"
        assert f"test_{name}_" in Path(__file__).read_text(), f"{name} has no test"


def test_existing_eks_takes_everything_from_the_cluster_that_is_found(surveyed) -> None:
    asked = surveyed()
    made = recorded("existing_eks")
    assert asked[0].subnet_ids == {"v1": ["subnet-0aaaaaaaaaaaaaaa1"]}
    assert made["worker-v1-drain"].inputs["access"] == {"kind": "eks", "clusterName": "prod", "region": "us-west-2"}
    group = made["worker-v1-group"]
    assert "worker-v1-role-entry" in group.dependencies, "nodes are admitted before they start"
    rights = {one.name for one in made.registered if one.type.startswith("kubernetes:")}
    assert rights <= group.dependencies


def test_pulumi_eks_joins_nodes_to_the_cluster_of_the_same_program(surveyed) -> None:
    surveyed()
    made = recorded("pulumi_eks")
    assert made["prod"].type == "eks:index:Cluster"
    assert made["worker-v1-template"].inputs["networkInterfaces"][0]["securityGroups"] == ["sg-0123456789abcdef0"]
    assert "prod" in made["worker-v1-group"].dependencies, "the cluster outlives the drain"


def test_pulumi_eks_makes_the_cluster_before_the_pool_is_looked_at(surveyed) -> None:
    asked = surveyed()
    assert not recorded("pulumi_eks", withPool="false").of(":BlueGreenNodePool")
    assert asked == []


def test_kubeadm_makes_the_version_of_its_settings(surveyed) -> None:
    surveyed(live=14)
    made = recorded("kubeadm", version="7.8.2003", imageId="ami-0cccccccccccc7820")
    assert made["worker-7.8.2003-group"].inputs["desiredCapacity"] == 14, "as large as the pool is now"
    assert made["worker-7.8.2003-template"].inputs["imageId"] == "ami-0cccccccccccc7820"


def test_stack_reference_takes_the_cluster_from_the_other_stack(surveyed) -> None:
    surveyed()
    made = recorded("stack_reference")
    assert made["batch-7.7.1908-template"].inputs["networkInterfaces"][0]["securityGroups"] == ["sg-0123456789abcdef0"]
    assert made["batch-7.7.1908-drain"].dependencies == {"batch-7.7.1908-group"}


def test_several_pools_makes_each_pool_of_the_yaml_after_looking_at_all(surveyed) -> None:
    asked = surveyed()
    made = recorded("several_pools")
    assert [one.pool for one in asked] == ["worker", "build"]
    assert {one.name for one in made.of(":BlueGreenNodePool")} == {"worker", "build"}
    assert made["build-v1-drain"].inputs["drain"]["jobs"] == "wait"


def test_spot_asks_for_spot_instances(surveyed) -> None:
    surveyed()
    assert recorded("spot")["batch-v1-template"].inputs["instanceMarketOptions"] == {"marketType": "spot"}


def test_adoption_registers_no_group(surveyed) -> None:
    asked = surveyed(existing=["legacy"])
    made = recorded("adoption")
    assert asked[0].adopted == {"legacy": "legacy-workers"}
    assert not made.of(":Group")
    assert made["worker-gate"].inputs["adopted"]


def test_node_group_is_deleted_only_after_its_hook(monkeypatch) -> None:
    cluster = SimpleNamespace(cluster_uid="uid-of-kube-system")
    monkeypatch.setattr("pulumi_nodepools.cluster.client.Client.connect", lambda _access: cluster)
    hook = recorded("node_group")["batch-drain"]
    assert hook.dependencies == {"batch"}
    assert hook.property_dependencies["selector"] == {"batch"}, "a replaced group replaces its hook"
    assert (hook.inputs["clusterUid"], hook.inputs["groups"]) == ("uid-of-kube-system", [])
    assert hook.inputs["urn"] == hook.urn


def test_bare_pool_has_a_group_for_each_zone() -> None:
    made = recorded("bare_pool")
    sizes = {one.name: one.inputs["desiredCapacity"] for one in made.of(":Group")}
    assert sizes == {"scratch-v1-group-us-west-2a": 2, "scratch-v1-group-us-west-2b": 1}
    template = made["scratch-v1-template-us-west-2a"].inputs
    assert template["networkInterfaces"][0]["securityGroups"] == ["sg-0123456789abcdef0"]


def test_existing_hosts_are_asked_for_the_argument() -> None:
    made = recorded("existing_hosts", privateKey="KEY")
    assert "cgroup.memory=nokmem" in made["patched-web-1"].inputs["stdin"]


def fleet() -> Any:
    spec = importlib.util.spec_from_file_location("roll", EXAMPLES / "fleet" / "roll.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_fleet_calls_pool_and_cluster_after_the_stack(surveyed) -> None:
    asked = surveyed()
    recorded("fleet", version="7.7.1908", imageId="ami-0bbbbbbbbbbb77190")
    assert (asked[0].cluster, asked[0].pool) == ("prod", "prod-worker")


@pytest.mark.parametrize(
    ("bad", "patched", "failed"),
    [
        ((), ["a", "b", "c", "d"], 0),
        (("b",), ["a", "b", "c"], 1),
        (("a",), ["a"], 1),
        (("d",), ["a", "b", "c", "d"], 1),
    ],
)
def test_fleet_begins_no_wave_after_one_with_a_failure(monkeypatch, capsys, bad, patched, failed) -> None:
    module, seen = fleet(), []

    def patch(cluster: str, version: str, image: str) -> str:
        seen.append(cluster)
        return "did not work" if cluster in bad else ""

    monkeypatch.setattr(module, "patch", patch)
    assert module.roll("7.7.1908", "ami-0bbbbbbbbbbb77190", [["a"], ["b", "c"], ["d"]]) == failed
    assert sorted(seen) == patched
    untouched = ", ".join(name for name in "abcd" if name not in patched) or "none"
    assert (f"untouched: {untouched}" in capsys.readouterr().out) == bool(bad)
