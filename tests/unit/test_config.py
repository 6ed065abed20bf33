"""The stack's YAML: what is accepted, and the exact words for everything that is not."""

from collections.abc import Callable
from typing import Any

import pytest

from pulumi_nodepools.config import load, parse
from pulumi_nodepools.config_cluster import KubeadmJoinConfig
from pulumi_nodepools.drain.rules import Rule
from pulumi_nodepools.drain.settings import DrainSettings, ForceRule
from pulumi_nodepools.errors import ConfigError
from tests.unit.config_case import ABSENT, POOL, VERSION, edited, problems, prod


def test_the_production_stack_parses() -> None:
    config = parse(prod())
    pool = config.pools["worker"]
    assert (pool.active, pool.size.initial, list(pool.versions)) == ("7.6.1810", 14, ["7.6.1810"])
    assert isinstance(config.cluster.join, KubeadmJoinConfig)
    assert config.cluster.join.token_parameter == "/nodepools/prod/join-token"
    assert (pool.drain.timeout, pool.drain.total_timeout, pool.drain.batch_size) == (1800, 21600, "10%")


def test_every_key_of_the_design_is_known() -> None:
    parse(
        edited(
            ((*POOL, "instanceProfile"), "nodes"),
            ((*POOL, "rolePolicies"), ABSENT),
            ((*POOL, "taints"), ["example.com/a=b:NoSchedule", "c:NoExecute"]),
            (
                (*POOL, "rootVolume"),
                {"size": 100, "type": "io2", "iops": 4000, "kmsKeyId": "alias/x", "device": "/dev/xvda"},
            ),
            ((*POOL, "kubelet"), {"arguments": ["--max-pods=110"]}),
            ((*POOL, "associatePublicIp"), True),
            ((*POOL, "zones"), "each"),
            ((*POOL, "smokeTest"), "./smoke.sh"),
            (
                (*POOL, "targetGroupArns"),
                ["arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/web/0123456789abcdef"],
            ),
            ((*POOL, "drain", "batchSoak"), "60s"),
            ((*VERSION, "kernel"), {"arguments": ["cgroup.memory=nokmem"], "minimumVersion": "3.10.0-1062.4.1"}),
            ((*VERSION, "retired"), False),
            (("cluster", "access"), {"kind": "eks", "clusterName": "prod", "region": "us-west-2", "profile": "p"}),
            (("cluster", "join"), {"kind": "eks"}),
        )
    )


def test_a_pool_says_what_becomes_of_late_nodes_and_of_jobs() -> None:
    config = parse(edited(((*POOL, "drain"), {"onTimeout": "skip", "jobs": "wait", "timeout": "5m"})))
    settings = DrainSettings.from_props(config.pools["worker"].drain.model_dump(by_alias=True))
    assert (settings.on_timeout, settings.jobs, settings.node_timeout) == ("skip", "wait", 300)
    assert DrainSettings.from_props({}).on_timeout == "fail", "nothing is left out or forced unless it is written"
    (problem,) = problems(edited(((*POOL, "drain", "onTimeout"), "explode")))
    assert "pools.worker.drain.onTimeout" in problem


def test_when_to_force_is_read_and_means_nothing_without_force() -> None:
    rule = {"podAge": "1h", "siblingsReady": "10m"}
    config = parse(edited(((*POOL, "drain"), {"onTimeout": "force", "force": rule})))
    settings = DrainSettings.from_props(config.pools["worker"].drain.model_dump(by_alias=True))
    assert settings.force == ForceRule(pod_age=3600, siblings_ready=600)
    assert DrainSettings.from_props(settings.to_props()) == settings
    assert "force" not in DrainSettings().to_props(), "hooks of earlier releases do not have it: no change to them"
    (problem,) = problems(edited(((*POOL, "drain"), {"force": rule})))
    assert "pools.worker.drain.force" in problem


def test_a_pool_has_rules_for_some_pods() -> None:
    rules = [{"pods": "jobs/*", "do": "wait-completed"}, {"labels": {"app": "db"}, "order": 5}]
    config = parse(edited(((*POOL, "drain", "rules"), rules)))
    settings = DrainSettings.from_props(config.pools["worker"].drain.model_dump(by_alias=True))
    assert settings.rules == (Rule(pods="jobs/*", do="wait-completed"), Rule(labels={"app": "db"}, order=5))
    (problem,) = problems(edited(((*POOL, "drain", "rules"), [{"pods": "jobs"}])))
    assert problem.startswith("pools.worker.drain.rules[0]: ")
    assert "<namespace>/<name>" in problem


def test_a_pool_acknowledges_what_a_preflight_finds() -> None:
    config = parse(edited(((*POOL, "drain", "acknowledge"), ["pdb-impossible/shop/web"])))
    settings = DrainSettings.from_props(config.pools["worker"].drain.model_dump(by_alias=True))
    assert settings.acknowledge == ("pdb-impossible/shop/web",)
    assert DrainSettings.from_props(settings.to_props()) == settings
    assert "acknowledge" not in DrainSettings().to_props(), "hooks of earlier releases do not have it"
    (problem,) = problems(edited(((*POOL, "drain", "acknowledge"), ["pdb-imposible/shop/web"])))
    assert problem.startswith("pools.worker.drain.acknowledge[0]: ")
    assert "is not <reason>/<namespace>/<name>" in problem


def test_every_family_parses_with_a_kernel_of_its_own() -> None:
    kernels = {
        "al2": "5.10.230-223.885.amzn2.x86_64",
        "el9": "5.14.0-503.11.1.el9_5",
        "al2023": "6.1.115-126.197.amzn2023",
        "ubuntu": "6.8.0-1021",
    }
    for family, kernel in kernels.items():
        parse(
            edited(
                ((*VERSION, "osFamily"), family),
                ((*VERSION, "kernel"), {"minimumVersion": kernel}),
                (("cluster", "join"), {"kind": "eks", "serviceCidr": "10.100.0.0/16"}),
            )
        )


def test_nodeadm_needs_the_service_network() -> None:
    raw = edited(((*VERSION, "osFamily"), "al2023"), (("cluster", "join"), {"kind": "eks"}))
    (problem,) = problems(raw)
    assert problem.startswith("cluster.join.serviceCidr: missing; Amazon Linux 2023 joins by nodeadm")


def test_a_version_overrides_the_pool_key_by_key() -> None:
    pool = parse(
        edited(
            ((*VERSION, "instanceType"), "m6i.2xlarge"),
            ((*VERSION, "instanceProfile"), "nodes"),
            ((*VERSION, "labels"), {"example.com/new": "yes"}),
        )
    ).pools["worker"]
    node = pool.node("7.6.1810")
    assert (node.instance_type, node.instance_profile, node.role_policies) == ("m6i.2xlarge", "nodes", None)
    assert node.labels == {"example.com/new": "yes"}
    assert node.subnet_ids == pool.subnet_ids


def test_an_active_that_is_no_name_is_reported_once() -> None:
    (found,) = problems(edited(((*POOL, "active"), 9)))
    assert found.startswith("pools.worker.active: 9 is not text")


def test_versions_of_every_state_are_accepted() -> None:
    spec = {"imageId": "ami-0bbbbbbbbbbb77190", "osFamily": "el7"}
    listed = {"standby": spec, "retired": spec | {"retired": True}, "canary": spec | {"canary": {"count": 2}}}
    pool = parse(edited(*(((*POOL, "versions", name), own) for name, own in listed.items()))).pools["worker"]
    assert pool.versions["canary"].canary is not None
    assert pool.versions["canary"].canary.count == 2
    assert [name for name, own in pool.versions.items() if own.retired] == ["retired"]


def test_an_existing_group_is_a_version_of_the_pool() -> None:
    adopt = {"autoScalingGroup": "legacy-workers"}
    pool = parse(edited(((*POOL, "adopt"), adopt), ((*POOL, "versions"), {}), ((*POOL, "active"), "adopted"))).pools
    assert pool["worker"].adopt is not None
    assert (pool["worker"].adopt.auto_scaling_group, pool["worker"].adopt.version) == ("legacy-workers", "adopted")
    (found,) = problems(edited(((*POOL, "adopt"), adopt | {"retired": True}), ((*POOL, "active"), "adopted")))
    assert found.startswith("pools.worker.adopt.retired: stands on the active version")


@pytest.mark.parametrize(
    ("name", "own", "words"),
    [
        ("v2", {"canary": {}, "retired": True}, "retired: stands beside canary"),
        ("v2-canary", {}, "versions.v2-canary: ends in -canary, as the canaries of versions are called"),
        ("v2", {"canary": {"count": 0}}, "canary.count: 0 is out of range; write at least 1"),
        ("v" * 34, {"canary": {}}, "canary's name '" + "v" * 34 + "-canary' cannot be used as a name"),
    ],
)
def test_versions_whose_state_or_name_cannot_be_meant_are_refused(name, own, words) -> None:
    spec = {"imageId": "ami-0bbbbbbbbbbb77190", "osFamily": "el7"}
    (found,) = problems(edited(((*POOL, "versions", name), spec | own)))
    assert words in found


def test_a_version_that_is_called_like_the_canary_of_another_pool_is_refused() -> None:
    raw = prod()
    pool = raw["pools"]["worker"]
    spec = pool["versions"]["7.6.1810"]
    raw["pools"] = {
        "a": pool | {"active": "b", "versions": {"b": spec}},
        "a-b": pool | {"active": "canary", "versions": {"canary": spec}},
    }
    (found,) = problems(raw)
    assert "has the same full name as pools.a.versions.b (a-b-canary)" in found


@pytest.mark.parametrize(
    "name", ["7.10", "7", "1e3", "true", "null", "0x1f", "007", "no", "2020-08-01 00:00:00 +0000 UTC"]
)
def test_version_names_that_yaml_may_have_changed_are_refused(name) -> None:
    spec = prod()["pools"]["worker"]["versions"]["7.6.1810"]
    found = problems(edited(((*POOL, "versions"), {name: spec}), ((*POOL, "active"), name)))
    assert any(line.startswith(f'pools.worker.versions.{_quoted(name)}: "{name}"') for line in found), found


def _quoted(name: str) -> str:
    return name if name in ("true", "null", "no") else f'"{name}"'


@pytest.mark.parametrize("name", [7.1, 7, True, None, 1000.0])
def test_version_names_that_arrive_as_numbers_say_to_quote_them(name) -> None:
    spec = prod()["pools"]["worker"]["versions"]["7.6.1810"]
    found = problems(edited(((*POOL, "versions"), {name: spec}), ((*POOL, "active"), name)))
    active = next(line for line in found if line.startswith("pools.worker.active: "))
    assert 'quote it, or use a letter or second dot ("v7.10", "7.10.0")' in active
    assert any(line.startswith("pools.worker.versions.") for line in found)


@pytest.mark.parametrize("name", ["7.7.1908", "v7.10", "7.10.0", "r1", "2020-08-01", "el7-a"])
def test_names_that_nobody_reads_as_numbers_are_taken(name) -> None:
    spec = prod()["pools"]["worker"]["versions"]["7.6.1810"]
    assert parse(edited(((*POOL, "versions"), {name: spec}), ((*POOL, "active"), name))).pools["worker"].active == name


def test_all_mistakes_come_at_once() -> None:
    found = problems(
        edited(
            (("cluster", "endpoint"), "x"),
            ((*POOL, "instanceTyp"), "x"),
            ((*POOL, "size", "max"), 1),
            ((*VERSION, "imageId"), "x"),
            ((*POOL, "soak"), {}),
        )
    )
    assert len(found) == 5, found


def test_names_that_are_too_long_together_are_refused() -> None:
    raw = prod()
    raw["pools"] = {"p" * 33: raw["pools"]["worker"]}
    raw["pools"]["p" * 33] |= {
        "versions": {"v" * 33: raw["pools"]["p" * 33]["versions"]["7.6.1810"]},
        "active": "v" * 33,
    }
    (found,) = problems(raw)
    assert "has 67 characters and becomes the value of a node label, which takes 63" in found


def test_two_pools_whose_full_names_collide_are_refused() -> None:
    raw = prod()
    pool = raw["pools"]["worker"]
    spec = pool["versions"]["7.6.1810"]
    raw["pools"] = {
        "a": pool | {"active": "b-v1", "versions": {"b-v1": spec}},
        "a-b": pool | {"active": "v1", "versions": {"v1": spec}},
    }
    (found,) = problems(raw)
    assert (
        found == "pools.a-b.versions.v1: has the same full name as pools.a.versions.b-v1 (a-b-v1); rename one of them"
    )


class Source:
    """A stack's configuration as Pulumi hands it over."""

    def __init__(self, get: Callable[[str], Any]) -> None:
        self.get_object = get


def test_load_reads_both_keys() -> None:
    assert load(Source(prod().get)).cluster.name == "prod"


def test_load_of_an_empty_stack_names_both_keys() -> None:
    with pytest.raises(
        ConfigError, match=r"(?s)cluster: missing; write nodepools:cluster.*pools: missing; write nodepools"
    ):
        load(Source(lambda _key: None))


def test_load_of_text_that_is_no_map_says_so() -> None:
    def fail(_key: str) -> Any:
        raise ValueError("could not be parsed")

    with pytest.raises(ConfigError, match="cluster: is not a map; write nodepools:cluster as nested YAML"):
        load(Source(fail))
