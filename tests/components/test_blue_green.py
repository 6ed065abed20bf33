"""BlueGreenNodePool against a mock engine: what is registered, and exactly which edges order a replacement."""

import json
import random
import string
from dataclasses import replace

import pulumi
import pytest

from pulumi_nodepools import BlueGreenNodePool, EksJoin, NodePoolsError, UserPart
from pulumi_nodepools.blue_green import size_for
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.survey import SurveyArgs
from pulumi_nodepools.version_spec import planned
from tests.components.conftest import SUBNETS, make_cluster, make_nodes, make_pool
from tests.components.engine import Recording, resolved, run

LOCK, GATE = "worker-7.7.1908-lock", "worker-gate"
TEMPLATE, GROUP, HOOK = "worker-7.7.1908-template", "worker-7.7.1908-group", "worker-7.7.1908-drain"


def build(**changes) -> Recording:
    preview = changes.pop("preview", False)
    account = changes.pop("seen_account", None)
    options = {"preview": preview} | ({"account": account} if account else {})
    return run(lambda: BlueGreenNodePool("worker", make_pool(**changes)), **options)


def test_the_drain_hook_depends_on_exactly_its_group(surveyed) -> None:
    surveyed()
    hook = build()[HOOK]
    assert hook.dependencies == {GROUP}, "any other edge would move the drain in the order of deletion"
    assert set().union(*hook.property_dependencies.values()) == {GROUP}
    assert hook.property_dependencies["urn"] == set(), "the URN must not drag in the component and its children"


def test_the_drain_hook_knows_its_own_urn(surveyed) -> None:
    surveyed()
    recorded = build()
    for name in (HOOK, GATE):
        assert recorded[name].inputs["urn"] == recorded[name].urn


def test_lock_template_and_group_come_in_this_order(surveyed) -> None:
    surveyed()
    recorded = build()
    assert recorded[LOCK].dependencies == set()
    assert LOCK in recorded[TEMPLATE].dependencies
    assert {LOCK, TEMPLATE} <= recorded[GROUP].dependencies
    role = {"worker-7.7.1908-role-join", "worker-7.7.1908-role-0"}
    assert role <= recorded[GROUP].dependencies, "a node needs its rights until it is drained"
    assert not {HOOK, GATE} & recorded[GROUP].dependencies


def test_the_gate_depends_on_groups_and_hook(surveyed) -> None:
    surveyed()
    assert build()[GATE].dependencies == {GROUP, HOOK}


def test_groups_outlive_what_the_drain_needs(surveyed) -> None:
    surveyed()

    def program() -> None:
        rights = pulumi.ComponentResource("example:index:Rights", "rights")
        BlueGreenNodePool("worker", make_pool(group_depends_on=[rights, other := _resource("other")]))
        assert other is not None

    recorded = run(program)
    assert "other" in recorded[GROUP].dependencies
    assert "other" not in recorded[HOOK].dependencies


def _resource(name: str) -> pulumi.CustomResource:
    return pulumi.CustomResource("example:index:Thing", name, {})


def test_the_smoke_test_runs_after_the_gate_and_again_for_each_generation(surveyed) -> None:
    surveyed()
    recorded = build(smoke_test="./smoke.sh")
    smoke = recorded["worker-smoke-test"]
    assert smoke.dependencies == {GATE}
    assert smoke.inputs["create"] == "./smoke.sh"
    assert smoke.inputs["triggers"] == [1]
    assert not build().of("Command"), "no command, no resource"


def test_what_the_hooks_are_told(surveyed) -> None:
    surveyed()
    recorded = build()
    hook, gate = recorded[HOOK].inputs, recorded[GATE].inputs
    place = {
        "schemaVersion": 1,
        "cluster": "prod",
        "clusterUid": "uid-of-kube-system",
        "account": "123456789012",
        "region": "us-west-2",
        "access": {"kind": "kubeconfig", "context": "prod"},
        "pool": "worker",
        "groups": [{"name": "prod-worker-7.7.1908", "arn": "arn:aws:autoscaling:::prod-worker-7.7.1908"}],
    }
    assert place.items() <= hook.items()
    assert place.items() <= gate.items()
    assert hook["version"] == gate["active"] == "7.7.1908"
    assert hook["drain"]["batchSize"] == "10%"
    assert (gate["kernelArguments"], gate["minimumKernelVersion"]) == (["cgroup.memory=nokmem"], "3.10.0-1062.4.1")
    assert (gate["timeout"], gate["consecutive"], gate["interval"]) == (1800, 3, 10)


def test_zones_each_makes_a_template_and_a_group_per_zone_under_one_hook(surveyed) -> None:
    surveyed()
    recorded = build(nodes=make_nodes(zones="each"))
    groups = {f"{GROUP}-us-west-2{zone}" for zone in "abc"}
    assert {one.name for one in recorded.of(":Group")} == groups
    assert recorded[HOOK].dependencies == groups
    assert recorded[GATE].dependencies == groups | {HOOK}
    first = recorded[f"{GROUP}-us-west-2a"]
    assert first.inputs["name"] == "prod-worker-7.7.1908-us-west-2a"
    assert first.inputs["vpcZoneIdentifiers"] == [SUBNETS[0]]
    assert f"{TEMPLATE}-us-west-2a" in first.dependencies
    sizes = [
        (one.inputs["minSize"], one.inputs["desiredCapacity"], one.inputs["maxSize"]) for one in recorded.of(":Group")
    ]
    assert sorted(sizes, reverse=True) == [(1, 5, 7), (1, 5, 7), (1, 4, 6)]


def test_with_zones_each_a_new_version_is_made_as_large_in_every_zone_as_the_one_that_serves(surveyed) -> None:
    surveyed(live=4, live_zones={"us-west-2a": 1, "us-west-2b": 1, "us-west-2c": 2})
    recorded = build(nodes=make_nodes(zones="each"))
    sizes = {zone: recorded[f"{GROUP}-us-west-2{zone}"].inputs["desiredCapacity"] for zone in "abc"}
    assert sizes == {"a": 1, "b": 1, "c": 2}


@pytest.mark.parametrize(("live", "desired"), [(None, 14), (9, 9), (1, 3), (0, 3), (20, 20)])
def test_a_new_version_is_as_large_as_the_pool_is_now(surveyed, live, desired) -> None:
    surveyed(live=live)
    assert build()[GROUP].inputs["desiredCapacity"] == desired


def test_a_pool_larger_than_max_is_refused_before_anything_is_registered(surveyed) -> None:
    surveyed(live=25)
    with pytest.raises(pulumi.RunError, match=r"pools\.worker\.size\.max: 20 is less than the 25 nodes.*max: 25"):
        build()


def test_without_an_initial_size_a_first_version_has_the_minimum() -> None:
    assert size_for(make_pool(initial_size=None), None).desired == 3


def test_a_failed_survey_ends_the_program_cleanly_and_registers_nothing(surveyed) -> None:
    surveyed(error=NodePoolsError("cluster prod did not answer"))
    recorded = []

    def program() -> None:
        with pytest.raises(pulumi.RunError, match="cluster prod did not answer"):
            BlueGreenNodePool("worker", make_pool())
        recorded.append(True)

    assert run(program).registered == []
    assert recorded


def test_the_survey_is_asked_for_the_active_version(surveyed) -> None:
    asked = surveyed()
    build()
    assert asked == [
        SurveyArgs(
            cluster="prod",
            pool="worker",
            active="7.7.1908",
            region="us-west-2",
            access=make_cluster().access,
            join=make_cluster().join,
            subnet_ids={"7.7.1908": list(SUBNETS)},
            initial=14,
            drain=DrainSettings(),
            planned=planned(make_pool()),
            instance_types={"7.7.1908": "m5.2xlarge"},
            principals={"7.7.1908": "role/prod-worker-7.7.1908-us-west-2"},
            only_looks=False,
        )
    ]


def test_the_accounts_of_provider_and_hooks_must_match(surveyed) -> None:
    surveyed(account="999999999999")
    with pytest.raises(pulumi.RunError, match=r"aws provider uses account 123456789012.*999999999999"):
        build()


def test_the_lock_holds_what_was_written_and_no_defaults(surveyed) -> None:
    surveyed()
    spec = build()[LOCK].inputs["spec"]
    assert spec == {
        "imageId": "ami-0bbbbbbbbbbb77190",
        "osFamily": "el7",
        "instanceType": "m5.2xlarge",
        "subnetIds": list(SUBNETS),
        "securityGroupIds": ["sg-0123456789abcdef0"],
        "kernel": {"arguments": ["cgroup.memory=nokmem"], "minimumVersion": "3.10.0-1062.4.1"},
        "labels": {"example.com/pool": "worker"},
        "tags": {"team": "platform"},
        "cluster": {
            "endpoint": "https://api.prod.example.com:6443",
            "certificateAuthority": "sha256:" + spec["cluster"]["certificateAuthority"][7:],
            "join": "kubeadm",
            "tokenParameter": "/nodepools/prod/join-token",
            "caCertHashes": ["sha256:" + "0" * 64],
        },
    }


def test_user_data_that_is_too_large_is_refused_before_anything_is_looked_at(surveyed) -> None:
    asked = surveyed()
    noise = "".join(random.Random(7).choices(string.ascii_letters, k=40000))
    script = UserPart("shell-script", "large", f"#!/bin/sh\n# {noise}\n")
    with pytest.raises(
        pulumi.RunError, match=r"more than the 16384 that EC2 accepts: shorten userData\.parts \(1 with"
    ):
        build(nodes=make_nodes(user_parts=(script,)))
    assert asked == []


def test_the_lock_holds_a_digest_of_each_own_part_and_its_place(surveyed) -> None:
    surveyed()
    parts = [UserPart("shell-script", name, f"#!/bin/sh\necho {name}\n") for name in ("b", "a")]

    def locked(*own: UserPart) -> dict:
        return build(nodes=make_nodes(user_parts=own))[LOCK].inputs["spec"]["userData"]

    assert set(locked(*parts)) == {"a", "b"}
    assert locked(*parts)["b"].startswith("1. shell-script sha256:")
    assert locked(*parts) != locked(*parts[::-1]), "they run in another order"
    other = replace(parts[1], content="#!/bin/sh\necho other\n")
    assert [key for key, value in locked(parts[0], other).items() if value != locked(*parts)[key]] == ["a"]


def test_a_service_network_added_for_a_new_family_leaves_other_versions_as_they_are(surveyed) -> None:
    surveyed()

    def locked(network: str, **nodes) -> dict:
        cluster = make_cluster(join=EksJoin(network))
        return build(cluster=cluster, nodes=make_nodes(**nodes))[LOCK].inputs["spec"]

    assert locked("10.100.0.0/16") == locked("")
    new = {"os_family": "al2023", "kernel_arguments": ()}
    assert locked("10.100.0.0/16", **new)["cluster"]["serviceCidr"] == "10.100.0.0/16"


def test_the_lock_does_not_mind_the_order_of_subnets_and_taints(surveyed) -> None:
    surveyed()
    taints = ("a=b:NoSchedule", "c=d:NoExecute")
    one = build(nodes=make_nodes(taints=taints))[LOCK].inputs
    other = build(nodes=make_nodes(taints=taints[::-1], subnet_ids=SUBNETS[::-1]))[LOCK].inputs
    assert one["spec"] == other["spec"]


def test_a_second_run_registers_the_same(surveyed) -> None:
    surveyed()
    args = make_pool(smoke_test="true")
    first, second = (run(lambda: BlueGreenNodePool("worker", args)).registered for _ in range(2))
    assert sorted(map(_text, first)) == sorted(map(_text, second))


def _text(one) -> str:
    return json.dumps([one.urn, one.inputs, sorted(one.dependencies)], sort_keys=True, default=str)


def test_another_release_of_the_pool_needs_no_edge_between_versions(surveyed) -> None:
    surveyed(live=14)
    recorded = build(version="7.8.2003")
    edges = {name for one in recorded.registered for name in one.dependencies}
    assert not [name for name in edges if "7.7.1908" in name]


def test_a_preview_with_unknown_values_registers_the_same_edges(surveyed) -> None:
    surveyed()
    created, planned = build(), build(preview=True)
    assert {one.name: one.dependencies for one in planned.registered} == {
        one.name: one.dependencies for one in created.registered
    }


def test_an_unknown_endpoint_makes_user_data_unknown_and_nothing_else(surveyed) -> None:
    surveyed()

    def program() -> None:
        later = pulumi.Output.from_input(pulumi.output.UNKNOWN)
        BlueGreenNodePool("worker", make_pool(cluster=make_cluster(endpoint=later)))

    template = run(program, preview=True)[TEMPLATE]
    assert template.inputs["imageId"] == "ami-0bbbbbbbbbbb77190"
    assert not isinstance(template.inputs.get("userData"), str) or template.inputs["userData"] == pulumi.runtime.UNKNOWN


def test_outputs_of_the_pool(surveyed) -> None:
    surveyed()
    counts: list[int] = []

    def program() -> BlueGreenNodePool:
        pool = BlueGreenNodePool("worker", make_pool())
        resolved(pool.nodes, counts)
        return pool

    assert run(program).result.group_names == ["prod-worker-7.7.1908"]
    assert counts == [14]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"active": "9"}, 'active "9" is not listed; listed: "7.7.1908"'),
        ({"adopted": {"7.7.1908": "group"}}, "7.7.1908 is adopted and cannot be"),
        ({"canaries": {"7.7.1908": 1}}, "canary of 7.7.1908 stands on the active version"),
        ({"retired": ["7.7.1908"]}, "retired of 7.7.1908 stands on the active version"),
        ({"retired": ["7.8"]}, "name 7.8, which is not listed"),
        ({"versions": {"7.7.1908": make_nodes(subnet_ids=[object()])}}, "subnet_ids must be plain"),
    ],
)
def test_arguments_that_cannot_work_are_refused_where_they_are_made(changes, words) -> None:
    with pytest.raises(ConfigError, match=words):
        make_pool(**changes)


def test_what_the_survey_warns_of_is_shown_before_anything_is_registered(surveyed, monkeypatch) -> None:
    surveyed(warnings=("pool worker: the join token ends in 5 h",))
    shown: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda message, *_args, **_more: shown.append(message))
    build()
    assert shown == ["pool worker: the join token ends in 5 h"]
