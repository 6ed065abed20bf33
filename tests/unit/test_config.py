"""The stack's YAML: what is accepted, and the exact words for everything that is not."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pulumi_nodepools.config import KubeadmJoinConfig, load, parse
from pulumi_nodepools.drain.model import DrainSettings, ForceRule
from pulumi_nodepools.drain.rules import Rule
from pulumi_nodepools.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
POOL = ("pools", "worker")
VERSION = (*POOL, "versions", "7.6.1810")
ABSENT = object()


def prod() -> dict[str, Any]:
    config = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]
    return {"cluster": config["nodepools:cluster"], "pools": config["nodepools:pools"]}


def edited(*changes: tuple[tuple[Any, ...], Any]) -> dict[str, Any]:
    """The production stack with values set (or removed) at paths."""
    raw = copy.deepcopy(prod())
    for path, value in changes:
        target = raw
        for key in path[:-1]:
            target = target[key]
        if value is ABSENT:
            del target[path[-1]]
        else:
            target[path[-1]] = value
    return raw


def problems(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(raw)
    first, *lines = str(caught.value).splitlines()
    assert first == "the stack's configuration cannot be used, nothing was changed:"
    return [line.removeprefix("  ") for line in lines]


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


OVERRIDE = {"version": "7.7.1908", "reason": "the rig itself is broken"}
IMAGE = "example.com/image@sha256:" + "a" * 64
ANY_LINE = [{"name": "x", "patterns": [{"id": "x", "kind": "kernel", "pattern": ".*", "weight": "weak"}]}]


def soak(**changes):
    """A soak that can be used, with changes."""
    images = {"collector": IMAGE, "kernelWatch": IMAGE}
    return {"images": images, "pods": {"spec": {"containers": [{"name": "x", "image": "x"}]}}} | changes


TABLE: list[tuple[tuple[Any, ...], Any, str]] = [
    # unknown keys
    (
        (*POOL, "instancetype"),
        "m5.large",
        "pools.worker.instancetype: unknown key; did you mean instanceType?",
    ),
    (("cluster", "endpont"), "x", "cluster.endpont: unknown key; did you mean endpoint?"),
    ((*VERSION, "image_id"), "x", 'pools.worker.versions."7.6.1810".image_id: unknown key; did you mean imageId?'),
    ((*POOL, "drain", "color"), 1, "unknown key; known here: acknowledge, barePods"),
    # wrong types and values
    ((*POOL, "size", "min"), "three", 'pools.worker.size.min: "three" is not a whole number; write it without quotes'),
    ((*POOL, "size"), [3], "pools.worker.size: [3] is not a map"),
    ((*POOL, "subnetIds"), "subnet-0aaaaaaaaaaaaaaa1", "pools.worker.subnetIds: "),
    ((*POOL, "subnetIds"), [], "pools.worker.subnetIds: is empty; list at least one"),
    ((*POOL, "labels"), {"a": True}, "pools.worker.labels.a: true is not text; write it in quotes"),
    ((*POOL, "zones"), "all", "pools.worker.zones: \"all\" is not known; write one of 'spread', 'each'"),
    (
        (*POOL, "rootVolume"),
        {"type": "gp2"},
        "pools.worker.rootVolume.type: \"gp2\" is not known; write one of 'gp3', 'io2'",
    ),
    ((*POOL, "rootVolume"), {"size": 4}, "pools.worker.rootVolume.size: 4 is out of range; write at least 8"),
    ((*POOL, "rootVolume"), {"type": "io2"}, "pools.worker.rootVolume.iops: missing; a volume of type io2 needs it"),
    ((*POOL, "associatePublicIp"), "no", 'pools.worker.associatePublicIp: "no" is not true or false'),
    (
        (*POOL, "drain", "timeout"),
        30,
        "pools.worker.drain.timeout: 30 is not a duration; write it like 30s, 30m or 1h30m",
    ),
    ((*POOL, "drain", "timeout"), "soon", "pools.worker.drain.timeout: 'soon' is not a duration"),
    ((*POOL, "drain", "timeout"), "0s", 'pools.worker.drain.timeout: "0s" leaves no time; write it like 30m'),
    ((*POOL, "drain", "batchSize"), "110%", "pools.worker.drain.batchSize: '110%' is neither a count of at least 1"),
    ((*POOL, "drain", "batchSize"), 0.1, "pools.worker.drain.batchSize: 0.1 is not a batch size"),
    ((*POOL, "gate", "consecutive"), 0, "pools.worker.gate.consecutive: 0 is out of range; write at least 1"),
    (
        (*VERSION, "kernel"),
        {"arguments": ["cgroup.memory=nosocket,nokmem"]},
        '"cgroup.memory=nosocket,nokmem" joins several; the gate looks for single words: list cgroup.memory=nosocket ',
    ),
    (("cluster", "join"), {"kind": "eks", "serviceCidr": "10.100/16"}, "is not a network such as 10.100.0.0/16"),
    # missing
    ((*VERSION, "osFamily"), ABSENT, "osFamily: missing; write the operating system's family: el7, al2, el8"),
    (
        (*POOL, "instanceType"),
        ABSENT,
        "pools.worker.instanceType: missing; write the EC2 instance type, such as m5.2xlarge",
    ),
    (
        (*POOL, "rolePolicies"),
        ABSENT,
        "pools.worker.instanceProfile: missing; name a profile of yours, or write rolePolicies",
    ),
    (("cluster", "join"), ABSENT, "cluster.join: missing; write how nodes join: {kind: kubeadm"),
    (("cluster", "access"), {}, "cluster.access.kind: missing; write one of kubeconfig, eks"),
    # values that contradict one another
    (
        (*POOL, "active"),
        "9.9.9",
        'pools.worker.active: "9.9.9" is not listed under versions; listed: "7.6.1810"; add it there, or set active',
    ),
    ((*POOL, "size", "initial"), 21, "pools.worker.size.initial: 21 is more than max 20; write min <= initial <= max"),
    ((*POOL, "size", "initial"), 1, "pools.worker.size.initial: 1 is less than min 3; write min <= initial <= max"),
    ((*POOL, "size", "min"), 30, "pools.worker.size.min: 30 is more than max 20; write min <= initial <= max"),
    ((*POOL, "instanceProfile"), "nodes", "pools.worker.rolePolicies: stands beside instanceProfile"),
    # ids and shapes
    ((*VERSION, "imageId"), "ami-xyz", '"ami-xyz" is not an AMI id; give the id: ami- and 8 or 17 hexadecimal digits'),
    (
        (*VERSION, "imageId"),
        "resolve:ssm:/images/el7",
        "`nodepools resolve-ami` will write it for you but is not there yet",
    ),
    ((*VERSION, "osFamily"), "el6", "osFamily: \"el6\" is not known; write one of 'el7', 'al2', 'el8', "),
    ((*VERSION, "kernel"), {"arguments": ["a b"]}, 'kernel.arguments[0]: "a b" is not one kernel argument'),
    ((*VERSION, "kernel"), {"minimumVersion": 3.1}, "kernel.minimumVersion: 3.1 is not text; write it in quotes"),
    ((*VERSION, "kernel"), {"minimumVersion": "new"}, '"new" is not a kernel version; write it as uname -r does'),
    ((*POOL, "instanceType"), "large", 'pools.worker.instanceType: "large" is not an instance type; write family.size'),
    ((*POOL, "subnetIds"), ["subnet-1"], 'pools.worker.subnetIds[0]: "subnet-1" is not a subnet id'),
    ((*POOL, "rolePolicies"), ["Admin"], 'pools.worker.rolePolicies[0]: "Admin" is not the ARN of a managed policy'),
    ((*POOL, "tags"), {"nodepools.dev/pool": "x"}, "is set by AWS or by this library; choose another key"),
    ((*POOL, "kubelet"), {"arguments": ["--node-labels=a=b"]}, "--node-labels is set by this library; use the labels"),
    (
        ("cluster", "endpoint"),
        "http://x",
        'cluster.endpoint: "http://x" is not the API server\'s address; write https://host',
    ),
    (("cluster", "certificateAuthority"), "AAAA", 'cluster.certificateAuthority: "AAAA" is not a certificate'),
    (
        ("cluster", "join", "tokenParameter"),
        "abcdef.0123456789abcdef",
        "cluster.join.tokenParameter: this is a join token",
    ),
    (("cluster", "join", "caCertHashes"), ["md5:1"], 'cluster.join.caCertHashes[0]: "md5:1" is not a CA hash'),
    (("cluster", "join", "kind"), "magic", 'cluster.join.kind: "magic" is not known; write one of kubeadm, eks'),
    # labels that a kubelet may not set, taints
    ((*POOL, "labels"), {"node-role.kubernetes.io/worker": ""}, "may not be set by a kubelet on its own node"),
    ((*POOL, "labels"), {"node-restriction.kubernetes.io/x": ""}, "may not be set by a kubelet on its own node"),
    ((*POOL, "labels"), {"example.k8s.io/x": ""}, "may not be set by a kubelet on its own node"),
    ((*POOL, "labels"), {"nodepools.dev/x": ""}, "labels of nodepools.dev are set by this library alone"),
    ((*POOL, "labels"), {"a": "b c"}, 'pools.worker.labels.a: "b c" is not a label value'),
    ((*POOL, "taints"), ["a=b"], 'pools.worker.taints[0]: "a=b" is not a taint; write key=value:Effect'),
    ((*POOL, "taints"), ["a=b:Never"], "with one of NoSchedule, PreferNoSchedule, NoExecute"),
    # what contradicts itself
    ((*VERSION, "canary"), {"count": 1}, "canary: stands on the active version; to promote it remove canary"),
    ((*VERSION, "retired"), True, "retired: stands on the active version; make another one active first"),
    ((*POOL, "differences"), ["imageId"], '"imageId" is not a field that versions differ in; write some of'),
    # soaks
    ((*POOL, "soak"), {}, "pools.worker.soak.images: missing; write {collector: ...@sha256:..., kernelWatch:"),
    ((*POOL, "soak"), soak(images={"collector": "python:3.12", "kernelWatch": IMAGE}), "not an image with its digest"),
    ((*POOL, "soak"), soak(pods=None), "give either pods, a pod template, or images.kindInDocker"),
    ((*POOL, "soak"), soak(pods={"spec": {}}), "pools.worker.soak.pods: is not a pod template"),
    ((*POOL, "soak"), soak(pods={"spec": {"containers": [{}], "nodeName": "a"}}), "pods: names a node (nodeName)"),
    ((*POOL, "soak"), soak(duration="3 days"), "soak.duration: '3 days' is not a duration"),
    ((*POOL, "soak"), soak(every="90s"), "soak.every: 90s is no whole number of minutes"),
    ((*POOL, "soak"), soak(every="7m"), "pools.worker.soak: every: 7m; write one of 1m, 2m"),
    ((*POOL, "soak"), soak(runs=500), "pools.worker.soak: runs: 500 cannot end within the duration"),
    ((*POOL, "soak"), soak(failureRate="a few"), 'soak.failureRate: "a few" is not a share'),
    ((*POOL, "soak"), soak(failureRate="100%"), "pools.worker.soak: failureRate: 1.0 is not a share from 0 to below 1"),
    ((*POOL, "soak"), soak(override={"version": "7.7.1908", "reason": "because"}), "soak.override.reason"),
    ((*POOL, "soak"), soak(override={"version": "7.7.1908"}), "soak.override.reason: missing"),
    (
        (*POOL, "soak"),
        soak(signatures=ANY_LINE),
        "pools.worker.soak.signatures: [0].patterns[0].pattern: '.*' matches the empty string",
    ),
    # adopted groups
    ((*POOL, "adopt"), {}, "pools.worker.adopt.autoScalingGroup: missing; write the name of the existing"),
    ((*POOL, "adopt"), {"autoScalingGroup": "g", "version": "7.6.1810"}, "is listed under versions too; rename one"),
]


@pytest.mark.parametrize(
    ("path", "value", "words"), TABLE, ids=[f"{row[0][-1]}-{index}" for index, row in enumerate(TABLE)]
)
def test_one_mistake_is_one_line_with_path_value_and_fix(path, value, words) -> None:
    found = problems(edited((path, value)))
    assert len(found) == 1, found
    assert words in found[0]


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


def test_a_soak_is_read_with_its_units() -> None:
    written = soak(duration="1h", every="5m", failureRate="2.5%", runs=12, timeout="90s", override=OVERRIDE)
    args = parse(edited(((*POOL, "soak"), written))).pools["worker"].soak.args()
    assert (args.duration, args.every, args.failure_rate, args.timeout) == (3600.0, 5, 0.025, 90.0)
    assert args.overrides == {"7.7.1908": "the rig itself is broken"}
    assert [one.name for one in args.sets] == ["kmem"]


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


SCRIPT = {"type": "shell-script", "name": "mounts", "content": "#!/bin/sh\nmount -a\n"}


VALIDATOR = ((*POOL, "startupValidator"), {"image": "python:3.12-slim@sha256:" + "a" * 64})


def own_parts(*parts: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
    return (*POOL, "userData"), {"parts": list(parts)}


def test_own_parts_of_a_version_replace_those_of_the_pool_whole() -> None:
    other = {**SCRIPT, "name": "other"}
    config = parse(edited(own_parts(SCRIPT)))
    assert [part.name for part in config.pools["worker"].parts("7.6.1810")] == ["mounts"]
    config = parse(edited(own_parts(SCRIPT), ((*VERSION, "userData"), {"parts": [other]})))
    assert [part.name for part in config.pools["worker"].parts("7.6.1810")] == ["other"]
    assert parse(prod()).pools["worker"].parts("7.6.1810") == ()


def test_a_part_s_file_is_read_where_the_stack_is(tmp_path) -> None:
    (tmp_path / "user-data").mkdir()
    (tmp_path / "user-data/mounts.sh").write_text("#!/bin/sh\nmount -a\n")
    named = {"type": "shell-script", "name": "mounts", "file": "user-data/mounts.sh"}
    (part,) = parse(edited(own_parts(named)), tmp_path).pools["worker"].parts("7.6.1810")
    assert (part.type, part.name, part.content) == ("shell-script", "mounts", SCRIPT["content"])


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ({**SCRIPT, "type": "script"}, '.type: "script" is not known; write one of'),
        ({**SCRIPT, "file": "x"}, ": has both content and file; keep one of them"),
        ({"type": "boothook", "name": "a"}, ": has no text; write content or file"),
        (
            {"type": "boothook", "name": "a", "file": "none.sh"},
            ': file "none.sh" cannot be read: No such file',
        ),
        ({"type": "boothook", "name": "a", "file": "bytes"}, ': file "bytes" is not UTF-8 text'),
        ({"type": "boothook", "name": "a", "file": "large"}, ': file "large" is larger than 1048576 bytes; user data'),
        (
            {"type": "boothook", "name": "a", "fil": "x", "content": "#!/bin/sh"},
            ".fil: unknown key; did you mean file?",
        ),
        ({"type": "boothook", "content": "#!/bin/sh"}, ".name: missing; write a name of its own, such as ntp"),
        ({**SCRIPT, "content": "mount -a"}, ": part 'mounts' line 1: does not begin with #! and an interpreter"),
        (
            {**SCRIPT, "content": "#!/bin/sh\nk=AKIAIOSFODNN7EXAMPLE"},
            ": part 'mounts' line 2: holds an AWS access key,",
        ),
        ({**SCRIPT, "type": "cloud-config", "content": "#cloud-config\nruncmdd: []"}, "did you mean runcmd?"),
    ],
)
def test_a_bad_part_is_refused_where_it_stands(part, line, tmp_path) -> None:
    (tmp_path / "bytes").write_bytes(b"#!/bin/sh\n\xff")
    (tmp_path / "large").write_bytes(b"#" * (1 << 20) + b"#")
    with pytest.raises(ConfigError) as caught:
        parse(edited(own_parts(SCRIPT | {"name": "good"}, part)), tmp_path)
    (_, found) = str(caught.value).splitlines()
    assert found.startswith("  pools.worker.userData.parts[1]")
    assert line in found


def test_a_second_way_to_reboot_names_the_version_whose_arguments_it_stands_beside() -> None:
    restart = {**SCRIPT, "content": "#!/bin/sh\nreboot\n"}
    parse(edited(own_parts(restart)))
    (line,) = problems(edited(own_parts(restart), ((*VERSION, "kernel"), {"arguments": ["nosmt"]})))
    assert line.startswith("pools.worker: version 7.6.1810: part 'mounts' line 2: reboot is a second way to reboot")


def test_parts_of_one_name_are_refused() -> None:
    (line,) = problems(edited(own_parts(SCRIPT, SCRIPT)))
    assert "part name 'mounts' is given 2 times" in line


def test_a_family_that_joins_in_another_way_is_refused() -> None:
    (line,) = problems(edited(((*VERSION, "osFamily"), "bottlerocket"), ((*POOL, "startupTaint"), True), VALIDATOR))
    told = "Bottlerocket cannot join by kubeadm here; it needs cluster.join.kind eks"
    assert line == f'pools.worker.versions."7.6.1810".osFamily: {told}'


def test_a_family_without_a_shell_needs_somebody_else_to_prove_it() -> None:
    eks = (("cluster", "join"), {"kind": "eks"})
    (line,) = problems(edited(eks, ((*VERSION, "osFamily"), "bottlerocket")))
    assert "version 7.6.1810: a node of Bottlerocket has no shell to prove itself and answer a launch hook" in line
    parse(edited(eks, ((*VERSION, "osFamily"), "bottlerocket"), ((*VERSION, "startupTaint"), True), VALIDATOR))


def test_should_wait_is_refused_with_the_line_that_says_it() -> None:
    part = {"type": "settings", "name": "wait", "content": "[settings.autoscaling]\nshould-wait = true\n"}
    changes = (((*VERSION, "osFamily"), "bottlerocket"), ((*VERSION, "startupTaint"), True), VALIDATOR)
    (line,) = problems(edited((("cluster", "join"), {"kind": "eks"}), *changes, own_parts(part)))
    assert "part 'wait' line 2: sets settings.autoscaling.should-wait" in line
    assert "would wait for ever; remove it" in line


def test_parts_that_a_family_cannot_read_are_refused() -> None:
    (line,) = problems(edited(own_parts(SCRIPT), ((*VERSION, "osFamily"), "flatcar")))
    assert "part 'mounts': Flatcar cannot read a part of type shell-script" in line


ENABLED = {"k8s.io/cluster-autoscaler/enabled": "true"}


@pytest.mark.parametrize(
    ("tags", "labels", "words"),
    [
        (
            ENABLED,
            {f"l{number}": "x" for number in range(42)},
            "the group would have 51 tags, AWS takes 50: each label",
        ),
        (
            ENABLED,
            {"example.com/" + "a" * 63: "x", f"{'b' * 60}.example.com/" + "a" * 40: "x"},
            "AWS takes 128: shorten",
        ),
    ],
)
def test_tags_for_the_autoscaler_that_aws_does_not_take_are_refused(tags, labels, words) -> None:
    (line,) = problems(edited(((*POOL, "tags"), tags), ((*POOL, "labels"), labels)))
    assert line.startswith('pools.worker.versions."7.6.1810".tags: ')
    assert words in line
    assert parse(edited(((*POOL, "tags"), {}), ((*POOL, "labels"), labels)))


def test_arguments_that_exclude_each_other_are_refused_with_both() -> None:
    (line,) = problems(edited(((*VERSION, "kernel"), {"arguments": ["nosmt", "mitigations=off", "mitigations=auto"]})))
    assert line == (
        'pools.worker.versions."7.6.1810".kernel.arguments: mitigations=off and mitigations=auto: the kernel takes the '
        "last mitigations only, and the gate asks for all; keep one"
    )
    parse(edited(((*VERSION, "kernel"), {"arguments": ["console=tty0", "console=ttyS0", "cgroup.memory=nokmem"]})))
