"""What state and engine may rely on: serialized forms, diffs, echoes, types."""

import base64
import inspect
import json
import subprocess
import sys

import pytest
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.output import Unknown

from pulumi_nodepools.hooks.boundary import Stopped
from pulumi_nodepools.hooks.cutover import Cutover, CutoverProvider
from pulumi_nodepools.hooks.drain_hook import DrainHook, DrainProvider
from pulumi_nodepools.hooks.provider import PROVIDER
from pulumi_nodepools.hooks.readiness_gate import GateProvider, ReadinessGate
from pulumi_nodepools.hooks.version_lock import LockProvider, VersionLock

PROVIDERS = [CutoverProvider, DrainProvider, GateProvider, LockProvider]
GROUPS = [{"name": "prod-worker-v1", "arn": "arn:one"}]
DRAIN = {
    "schemaVersion": 1,
    "cluster": "prod",
    "clusterUid": "uid",
    "account": "1",
    "region": "us-west-2",
    "access": {"kind": "kubeconfig"},
    "pool": "worker",
    "version": "v1",
    "groups": GROUPS,
    "drain": {"timeout": 1800},
    PROVIDER: "gASV",
}


@pytest.mark.parametrize("groups", [Unknown(), [{"name": "prod-worker-v1", "arn": Unknown()}], [{"name": None}], [{}]])
@pytest.mark.parametrize("provider", [DrainProvider, GateProvider])
def test_nothing_is_stored_before_groups_that_were_left_out_of_a_run(provider, groups):
    with pytest.raises(Stopped, match=r"left out of this run. Run `pulumi up` without --target and --exclude"):
        provider().create({**DRAIN, "active": "v1", "hook": "prod/worker/v1", "groups": groups})


def test_a_gate_is_not_stored_before_a_hook_that_was_left_out_of_a_run():
    with pytest.raises(Stopped, match="a group or hook of pool worker that does not exist yet was left out"):
        GateProvider().create({**DRAIN, "active": "v1"})


def test_type_tokens_are_part_of_the_state():
    assert Cutover._resource_type_name == "dynamic/nodepools:Cutover"
    assert DrainHook._resource_type_name == "dynamic/nodepools:DrainHook"
    assert ReadinessGate._resource_type_name == "dynamic/nodepools:ReadinessGate"
    assert VersionLock._resource_type_name == "dynamic/nodepools:VersionLock"


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        (CutoverProvider, "pulumi_nodepools.hooks.cutover"),
        (DrainProvider, "pulumi_nodepools.hooks.drain_hook"),
        (GateProvider, "pulumi_nodepools.hooks.readiness_gate"),
        (LockProvider, "pulumi_nodepools.hooks.version_lock"),
    ],
)
def test_serialized_by_reference_only(provider, path):
    stored = base64.b64decode(serialize_provider(provider()))
    assert path.encode() in stored
    assert provider.__name__.encode() in stored
    assert len(stored) < 120
    assert provider.serialize_as_secret_always is False


@pytest.mark.parametrize("provider", PROVIDERS)
def test_methods_are_synchronous_and_providers_stateless(provider):
    for name in ("check", "diff", "create", "read", "update", "delete"):
        assert not inspect.iscoroutinefunction(getattr(provider, name))
    assert vars(provider()) == {}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_read_never_loses_a_resource(provider):
    result = provider().read("", DRAIN)
    assert result.id
    assert result.outs["groups"] == GROUPS


def test_update_keeps_every_property():
    news = {**DRAIN, "drain": {"timeout": 60.0}}
    assert DrainProvider().update("id", DRAIN, news).outs == {
        **{key: value for key, value in DRAIN.items() if key != PROVIDER},
        "drain": {"timeout": 60},
    }


def test_numbers_that_come_back_as_floats_are_no_change():
    olds = {**DRAIN, "schemaVersion": 1.0, "drain": {"timeout": 1800.0}}
    assert DrainProvider().diff("id", olds, DRAIN).changes is False


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pool", "other"),
        ("version", "v2"),
        ("clusterUid", "another"),
        ("account", "2"),
        ("groups", [{"name": "prod-worker-v1", "arn": "arn:two"}]),
        ("groups", [{"name": "prod-worker-v1", "arn": Unknown()}]),
    ],
)
def test_another_identity_is_another_hook(key, value):
    result = DrainProvider().diff("id", DRAIN, {**DRAIN, key: value})
    assert (result.changes, result.replaces) == (True, [key])


@pytest.mark.parametrize(
    ("key", "value"),
    [("drain", {"timeout": 1}), ("access", {"kind": "eks"}), (PROVIDER, "gASVnew"), ("drain", Unknown())],
)
def test_settings_and_a_new_serialized_form_change_in_place(key, value):
    result = DrainProvider().diff("id", DRAIN, {**DRAIN, key: value})
    assert (result.changes, result.replaces) == (True, [])


def test_a_failed_dependency_says_nothing():
    assert DrainProvider().diff("id", DRAIN, {**DRAIN, "groups": None, "account": None}).changes is False


def test_properties_of_older_releases_are_read():
    assert DrainProvider().diff("id", {"pool": "worker"}, {"pool": "worker"}).changes is False
    assert DrainProvider().read("", {}).id


LOCK = {
    "schemaVersion": 1,
    "pool": "worker",
    "version": "7.7.1908",
    "spec": {"imageId": "ami-1", "rootVolume": {"size": 50}},
}


def _lock(spec, olds=LOCK):
    return LockProvider().check(olds, {**LOCK, "spec": spec})


def test_a_changed_version_is_refused_by_field_and_both_values():
    (failure,) = _lock({"imageId": "ami-2", "rootVolume": {"size": 50}}).failures
    assert failure.property == ""
    assert failure.reason == "version 7.7.1908 is immutable: imageId changed from ami-1 to ami-2; add a new version"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"imageId": "ami-1", "rootVolume": {"size": 60}}, "rootVolume.size changed from 50 to 60"),
        ({"imageId": "ami-1"}, "rootVolume.size changed from 50 to (not set)"),
        (
            {"imageId": "ami-1", "rootVolume": {"size": 50}, "labels": {"a/b": "c"}},
            "labels.a/b changed from (not set) to c",
        ),
        (
            {"imageId": "ami-1", "rootVolume": {"size": 50}, "zones": ["a", "b"]},
            "zones changed from (not set) to [a, b]",
        ),
    ],
)
def test_changes_at_any_depth_are_named(spec, words):
    (failure,) = _lock(spec).failures
    assert words in failure.reason


@pytest.mark.parametrize(
    "spec",
    [
        {"imageId": "ami-1", "rootVolume": {"size": 50.0}},
        {"imageId": Unknown(), "rootVolume": {"size": 50}},
        {"imageId": "ami-1", "rootVolume": {"size": 50, "kind": None}, "labels": {}},
        Unknown(),
    ],
)
def test_the_same_or_unknown_is_no_change(spec):
    assert _lock(spec).failures == []


def test_a_new_lock_and_another_version_are_free():
    assert _lock({"imageId": "ami-9"}, olds={}).failures == []
    assert _lock({"imageId": "ami-9"}, olds={**LOCK, "version": "7.6.1810"}).failures == []


def test_the_gates_generation_rises_with_active_only(monkeypatch):
    ran = []
    monkeypatch.setattr("pulumi_nodepools.hooks.readiness_gate._pass_gate", lambda props: ran.append(props["active"]))
    props = {"pool": "worker", "active": "v1", "groups": GROUPS, "timeout": 60}
    assert GateProvider().create(props).outs["generation"] == 1
    olds = {**props, "generation": 4.0}
    assert GateProvider().update("id", olds, {**props, "timeout": 90}).outs["generation"] == 4
    assert ran == ["v1"]
    outs = GateProvider().update("id", olds, {**props, "active": "v2"}).outs
    assert (outs["generation"], outs["active"], ran) == (5, "v2", ["v1", "v2"])


CUTOVER = {
    "pool": "worker",
    "clusterUid": "uid",
    "active": "v2",
    "proved": "v2",
    "generation": 2,
    "groups": GROUPS,
    "others": [{"version": "v1", "state": "standby", "groups": GROUPS}],
    "drain": {"timeout": 1800},
    "pending": "",
}


@pytest.mark.parametrize(
    ("key", "value"), [("generation", 3), ("others", []), ("others", [{**CUTOVER["others"][0], "state": "retired"}])]
)
def test_a_cutover_acts_when_somebody_else_is_to_serve_or_to_stand_by(monkeypatch, key, value):
    ran = []
    monkeypatch.setattr("pulumi_nodepools.hooks.cutover._cut_over", ran.append)
    news = {**CUTOVER, key: value}
    assert CutoverProvider().diff("id", CUTOVER, news).changes is True
    assert CutoverProvider().update("id", CUTOVER, news).outs == news
    assert ran == [news]


def test_a_cutover_remembers_new_settings_without_acting(monkeypatch):
    monkeypatch.setattr("pulumi_nodepools.hooks.cutover._cut_over", pytest.fail)
    news = {**CUTOVER, "drain": {"timeout": 60}}
    assert CutoverProvider().diff("id", CUTOVER, news).changes is True
    assert CutoverProvider().update("id", CUTOVER, news).outs["drain"] == {"timeout": 60}


@pytest.mark.parametrize("provider", [CutoverProvider, GateProvider])
def test_a_switch_that_did_not_end_is_a_change_until_it_has(monkeypatch, provider):
    ran = []
    monkeypatch.setattr("pulumi_nodepools.hooks.cutover._cut_over", ran.append)
    monkeypatch.setattr("pulumi_nodepools.hooks.readiness_gate._pass_gate", ran.append)
    unfinished = {**CUTOVER, "pending": "v2"}
    assert provider().diff("id", CUTOVER, CUTOVER).changes is False
    assert provider().diff("id", CUTOVER, unfinished).changes is True
    provider().update("id", CUTOVER, unfinished)
    assert ran == [unfinished]
    assert provider().diff("id", unfinished, CUTOVER).changes is False, "done: the next run has nothing to do"


def test_importing_hooks_loads_no_resource_sdk():
    code = (
        "import sys, json\n"
        "import pulumi_nodepools.hooks.drain_hook, pulumi_nodepools.hooks.readiness_gate\n"
        "import pulumi_nodepools.hooks.version_lock\n"
        "print(json.dumps(sorted(name.partition('.')[0] for name in sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    heavy = {"pulumi_aws", "pulumi_kubernetes", "pulumi_command", "pydantic", "boto3", "botocore", "kubernetes"}
    assert heavy & set(json.loads(answer.stdout)) == set()
