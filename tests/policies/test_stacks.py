"""Rules about how resources hang together: replacements, differences between versions, evidence, scaling policies."""

import pytest

from policies.rules import evidence, lifecycle_hooks
from policies.rules.replacement import VERSION_TAG
from policies.rules.rule import UNKNOWN, Finding, Resource, StackRule
from policies.rules.subjects import GATE, GROUP, LOCK, POOL_TAG
from tests.policies.rule_case import NAMES, START, tag, verdict

SIZE, DIFFERENCES = "nodepools-pool-replacement-size", "nodepools-pool-replacement-differences"
SOAK, TERMINATION = "nodepools-pool-soak-evidence", "nodepools-group-termination-hook"
OLD, NEW = "7.6.1810", "7.7.1908"
WHOLE = f"{START}{GATE}::worker-gate"
SUBNETS = ["subnet-1", "subnet-2"]
SPEC = {"imageId": "ami-1", "instanceType": "m5.large", "cluster": {"endpoint": "https://a"}}


def look(name: str, *resources: Resource, **config) -> list[Finding]:
    rule = NAMES[name]
    assert isinstance(rule, StackRule)
    return list(rule.check(resources, config))


def whole(active: str = NEW, **props) -> Resource:
    """The gate of the pool: it says which version is active."""
    return Resource(GATE, WHOLE, "worker-gate", {"pool": "worker", "active": active} | props)


def version(name: str, nodes: object, subnets: object = SUBNETS, pool: str = "worker") -> list[Resource]:
    """A version of the pool with one group."""
    tags = [tag(POOL_TAG, pool), tag(VERSION_TAG, name)]
    props = {"desiredCapacity": nodes, "vpcZoneIdentifiers": subnets, "tags": tags}
    return [Resource(GROUP, f"{START}{GROUP}::{pool}-{name}-group", f"{pool}-{name}-group", props)]


def lock(name: str, **changed: object) -> Resource:
    return Resource(LOCK, f"{START}{LOCK}::{name}", name, {"pool": "worker", "version": name, "spec": SPEC | changed})


@pytest.mark.parametrize(
    ("expected", "new", "old"),
    [
        ("good", version(NEW, 14), version(OLD, 14)),
        ("good", version(NEW, "15"), version(OLD, 14.0)),
        ("good", version(NEW, 14), version(OLD, 0, ["subnet-9"])),
        ("good", version(NEW, 14), version(f"{OLD}-canary", 20)),
        ("good", version(NEW, 14, [*SUBNETS, "subnet-3"]), version(OLD, 14)),
        ("bad", version(NEW, 13), version(OLD, 14)),
        ("bad", version(NEW, 14, SUBNETS[:1]), version(OLD, 14)),
        ("bad", [], version(OLD, 14)),
        ("unknown", version(NEW, UNKNOWN), version(OLD, 14)),
        ("unknown", version(NEW, 14), version(OLD, 14, UNKNOWN)),
    ],
)
def test_a_replacement_is_no_smaller_and_in_the_same_zones(expected, new, old):
    assert verdict(look(SIZE, whole(), *new, *old)) == expected


def test_sizes_count_over_all_groups_of_a_version_and_pools_are_kept_apart():
    assert look(SIZE, whole(), *version(NEW, 7), *version(NEW, 7), *version(OLD, 14)) == []
    assert look(SIZE, whole(), *version(NEW, 1), *version(OLD, 50, pool="gpu")) == []
    assert look(SIZE, whole(), *version("", 2)) == [], "a group that says no version is another rule's finding"
    canary = Resource(GATE, "urn:canary", "c", {"pool": "worker", "active": OLD, "canary": True})
    assert look(SIZE, whole(), canary, *version(NEW, 14), *version(OLD, 3)) == []
    (finding,) = look(SIZE, whole(OLD), *version(NEW, 14), *version(OLD, 3))
    assert f"version {OLD} has 3 nodes in place of 14 of version {NEW}" in finding.message
    assert finding.urn == WHOLE


@pytest.mark.parametrize(
    ("expected", "changed"),
    [
        ("good", {"imageId": "ami-2", "kernel": {"arguments": ["nosmt"]}}),
        ("good", {"instanceType": UNKNOWN}),
        ("good", {"cluster": {"endpoint": UNKNOWN}}),
        ("bad", {"instanceType": "m5.2xlarge"}),
        ("bad", {"cluster": {"endpoint": "https://b"}}),
        ("bad", {"labels": {"a": "b"}}),
    ],
)
def test_versions_differ_in_what_is_being_changed(expected, changed):
    findings = look(DIFFERENCES, whole(), lock(OLD), lock(NEW, **changed))
    assert verdict(findings) == expected
    assert look(DIFFERENCES, whole(), lock(NEW, **changed)) == [], "one version differs from nothing"
    assert look(DIFFERENCES, whole(), lock(OLD), lock(NEW, **changed), allowed=[*SPEC, *changed]) == []


def soak(pool: object = "worker", version: object = NEW, kind: str = evidence.TYPES[0]) -> Resource:
    return Resource(kind, f"{START}{kind}::s", "s", {"pool": pool, "version": version})


def test_evidence_is_asked_of_the_pools_that_configuration_names():
    assert look(SOAK, whole()) == []
    assert look(SOAK, whole(), pools=["gpu"]) == []
    (finding,) = look(SOAK, whole(), pools=["work*"])
    assert finding.message == f"pool worker makes {NEW} active, and no SoakGate speaks for it."


@pytest.mark.parametrize(
    ("expected", "witness"),
    [
        ("good", soak()),
        ("bad", soak(version=OLD)),
        ("bad", soak(pool="gpu")),
        ("bad", soak(kind="other:Gate")),
        ("unknown", soak(version=UNKNOWN)),
    ],
)
def test_evidence_speaks_for_exactly_the_active_version(expected, witness):
    assert verdict(look(SOAK, whole(), witness, pools=["worker"])) == expected


def test_what_counts_as_evidence_is_configuration():
    assert look(SOAK, whole(), soak(kind="our:Gate"), pools=["worker"], types=["our:Gate"]) == []
    assert not NAMES[SOAK].types, "it must be shown resources of every type"


POLICY = "aws:autoscaling/policy:Policy"
G = Resource(GROUP, "urn:g", "g", {"name": "prod-worker", "tags": [tag(POOL_TAG)]})


def of(kind: str, *edges: str, **props: object) -> Resource:
    return Resource(kind, f"urn:{kind}", "one", {"autoscalingGroupName": "prod-worker"} | props, dependencies=edges)


@pytest.mark.parametrize(
    ("expected", "resources"),
    [
        ("good", [G]),
        ("good", [G, of(POLICY, autoscalingGroupName="other")]),
        ("bad", [G, of(POLICY)]),
        ("bad", [G, of("aws:autoscaling/schedule:Schedule")]),
        ("bad", [G, of(POLICY, "urn:g", autoscalingGroupName=UNKNOWN)]),
        (
            "good",
            [G, of(POLICY), of(lifecycle_hooks.SEPARATE_HOOK, lifecycleTransition=lifecycle_hooks.TERMINATING)],
        ),
        ("bad", [G, of(POLICY), of(lifecycle_hooks.SEPARATE_HOOK, lifecycleTransition=lifecycle_hooks.LAUNCHING)]),
    ],
)
def test_groups_that_are_scaled_in_need_a_termination_hook(expected, resources):
    assert verdict(look(TERMINATION, *resources)) == expected


def test_an_initial_termination_hook_counts_too():
    hooks = [{"lifecycleTransition": lifecycle_hooks.TERMINATING}]
    group = Resource(GROUP, "urn:g", "g", {**G.props, "initialLifecycleHooks": hooks})
    assert look(TERMINATION, group, of(POLICY)) == []
    stranger = Resource(GROUP, "urn:g", "g", {"name": "prod-worker"})
    assert look(TERMINATION, stranger, of(POLICY)) == []
    assert verdict(look(TERMINATION, stranger, of(POLICY), allGroups=True)) == "bad"
