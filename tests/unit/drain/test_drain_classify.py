"""What may happen to a pod: the tables that the other drain tools are tested with, and what they miss."""

import pytest

from pulumi_nodepools.drain.classify import CLUSTER_API, DO_NOT_DISRUPT, MIRROR, SAFE_TO_EVICT, classify, tier_of
from pulumi_nodepools.drain.model import Owner, PodView
from pulumi_nodepools.drain.rules import Rule
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.names import DRAIN_ANNOTATION, ORDER_ANNOTATION

NOW = 10_000.0


def owned(kind, api_version="apps/v1"):
    return Owner(kind, api_version, "o", "o-uid")


def pod(**fields):
    return PodView(**{"namespace": "ns", "name": "p", "uid": "u", "node": "n", "owner": owned("ReplicaSet")} | fields)


STRICT = DrainSettings(empty_dir="block")
LOOSE = DrainSettings(bare_pods="allow")
DEFAULT = DrainSettings()
JOBS = DrainSettings(jobs="wait")


@pytest.mark.parametrize(
    ("fields", "settings", "expected"),
    [
        ({}, DEFAULT, ("evict", "movable")),
        ({"owner": owned("ReplicationController", "v1")}, DEFAULT, ("evict", "movable")),
        ({"owner": owned("DaemonSet")}, DEFAULT, ("ignore", "daemonset")),
        ({"owner": owned("DaemonSet"), "empty_dirs": ("d",)}, STRICT, ("ignore", "daemonset")),
        ({"owner": owned("DaemonSet"), "phase": "Succeeded"}, DEFAULT, ("evict", "finished")),
        ({"owner": owned("DaemonSet"), "phase": "Failed"}, DEFAULT, ("evict", "finished")),
        ({"owner": owned("DaemonSet", "apps.kruise.io/v1alpha1")}, DEFAULT, ("evict", "movable")),
        ({"owner": owned("DaemonSet"), "deleted_at": NOW}, DEFAULT, ("ignore", "daemonset")),
        ({"owner": owned("Job", "batch/v1"), "empty_dirs": ("d",)}, DEFAULT, ("evict", "movable")),
        ({"owner": owned("Job", "batch/v1"), "empty_dirs": ("d",)}, STRICT, ("block", "local-data")),
        (
            {"owner": owned("Job", "batch/v1"), "empty_dirs": ("d",), "phase": "Succeeded"},
            STRICT,
            ("evict", "finished"),
        ),
        ({"phase": "Failed", "empty_dirs": ("d",)}, STRICT, ("evict", "finished")),
        ({"owner": None}, DEFAULT, ("block", "bare-pod")),
        ({"owner": None}, LOOSE, ("evict", "movable")),
        ({"owner": None, "phase": "Succeeded"}, DEFAULT, ("evict", "finished")),
        ({"owner": None, "deleted_at": NOW}, DEFAULT, ("wait", "terminating")),
        ({"owner": None, "notes": {MIRROR: "x"}}, DEFAULT, ("ignore", "mirror")),
        ({"owner": None, "owned_by_node": True}, DEFAULT, ("ignore", "mirror")),
        ({"deleted_at": NOW + 30}, DEFAULT, ("wait", "terminating")),
        ({"deleted_at": NOW - 300, "notes": {SAFE_TO_EVICT: "false"}}, DEFAULT, ("wait", "terminating")),
        ({"notes": {SAFE_TO_EVICT: "false"}}, DEFAULT, ("block", "opted-out")),
        ({"notes": {SAFE_TO_EVICT: "true"}}, DEFAULT, ("evict", "movable")),
        ({"notes": {DO_NOT_DISRUPT: "true"}}, DEFAULT, ("block", "opted-out")),
        ({"notes": {DO_NOT_DISRUPT: "true"}, "phase": "Succeeded"}, DEFAULT, ("evict", "finished")),
        ({"notes": {DO_NOT_DISRUPT: "1h"}, "started_at": NOW - 3599}, DEFAULT, ("wait", "opted-out")),
        ({"notes": {DO_NOT_DISRUPT: "1h"}, "started_at": NOW - 1799}, DEFAULT, ("block", "opted-out")),
        ({"notes": {DO_NOT_DISRUPT: "1h"}, "started_at": NOW - 3600}, DEFAULT, ("evict", "movable")),
        ({"owner": owned("Job", "batch/v1")}, JOBS, ("wait", "wait-completed")),
        ({"owner": owned("Job", "batch/v1"), "phase": "Failed"}, JOBS, ("evict", "finished")),
        ({"owner": owned("Job", "batch.volcano.sh/v1")}, JOBS, ("evict", "movable")),
        ({"notes": {DRAIN_ANNOTATION: "wait-completed"}}, DEFAULT, ("wait", "wait-completed")),
        ({"labels": {CLUSTER_API: "WAIT-completed"}, "owner": None}, DEFAULT, ("wait", "wait-completed")),
        ({"labels": {CLUSTER_API: "skip"}}, DEFAULT, ("ignore", "skip-asked")),
        ({"notes": {DRAIN_ANNOTATION: "skip"}, "owner": None}, DEFAULT, ("ignore", "skip-asked")),
        ({"notes": {DRAIN_ANNOTATION: "skip"}, "phase": "Failed"}, DEFAULT, ("evict", "finished")),
        ({"notes": {DO_NOT_DISRUPT: "whenever"}, "started_at": NOW}, DEFAULT, ("evict", "movable")),
    ],
)
def test_verdicts(fields, settings, expected):
    verdict = classify(pod(**fields), settings, NOW)
    assert (verdict.action, verdict.reason) == expected


CLUSTER, NODE = 2_000_000_000, 2_000_001_000


def test_critical_pods_go_last_and_an_order_moves_pods_only_among_their_like():
    fields = [
        {"notes": {ORDER_ANNOTATION: "-1000"}},
        {"notes": {ORDER_ANNOTATION: "-1"}},
        {},
        {"notes": {ORDER_ANNOTATION: "1000"}},
        {"priority": CLUSTER, "notes": {ORDER_ANNOTATION: "-1000"}},
        {"priority": CLUSTER},
        {"priority": CLUSTER, "notes": {ORDER_ANNOTATION: "1000"}},
        {"priority": NODE, "notes": {ORDER_ANNOTATION: "-1000"}},
    ]
    tiers = [tier_of(pod(**one), DEFAULT) for one in fields]
    assert tiers == sorted(set(tiers))
    assert tier_of(pod(priority=NODE, phase="Failed"), DEFAULT) == 0


@pytest.mark.parametrize("order", ["first", "", "1.5", "1001", "-1001", "99999", "+1"])
def test_an_order_that_is_no_such_number_is_none(order):
    assert tier_of(pod(notes={ORDER_ANNOTATION: order}), DEFAULT) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": "0"}, r"drain\.batchSize"),
        ({"node_timeout": 0.5}, r"drain\.timeout"),
        ({"total_timeout": float("inf")}, r"drain\.totalTimeout"),
        ({"batch_soak": -1}, r"drain\.batchSoak"),
        ({"unbudgeted": "some"}, r"drain\.unbudgeted.*paced, all"),
        ({"on_timeout": "explode"}, r"drain\.onTimeout.*fail, skip, force"),
        ({"jobs": "kill"}, r"drain\.jobs.*evict, wait"),
    ],
)
def test_bad_settings_are_named_as_the_user_wrote_them(settings, message):
    with pytest.raises(ConfigError, match=message):
        DrainSettings(**settings)


def test_settings_survive_the_way_through_state():
    settings = DrainSettings(batch_size="3", node_timeout=60, bare_pods="allow", on_timeout="skip", jobs="wait")
    assert DrainSettings.from_props(settings.to_props()) == settings


RULES = DrainSettings(
    rules=(
        Rule(pods="ns/db-*", order=10),
        Rule(labels={"tier": "batch"}, do="wait-completed", order=-3),
        Rule(pods="ns/*", do="skip"),
    )
)


@pytest.mark.parametrize(
    ("fields", "expected", "tier"),
    [
        ({"name": "db-0"}, ("evict", "movable"), 10),
        ({"name": "db-0", "labels": {"tier": "batch"}}, ("evict", "movable"), 10),  # the first rule counts
        ({"name": "x", "labels": {"tier": "batch"}}, ("wait", "wait-completed"), -3),
        ({"name": "x"}, ("ignore", "skip-asked"), 0),
        ({"name": "x", "namespace": "other"}, ("evict", "movable"), 0),
        ({"name": "db-0", "notes": {DRAIN_ANNOTATION: "skip", ORDER_ANNOTATION: "1"}}, ("ignore", "skip-asked"), 1),
        ({"name": "x", "notes": {DRAIN_ANNOTATION: "wait-completed"}}, ("wait", "wait-completed"), 0),
    ],
)
def test_rules_of_the_settings(fields, expected, tier):
    verdict = classify(pod(**fields), RULES, NOW)
    assert (verdict.action, verdict.reason) == expected
    assert tier_of(pod(**fields), RULES) == tier


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "about every pod"),
        ({"pods": "db-*"}, "<namespace>/<name>"),
        ({"pods": "a/b", "do": "kill"}, "drain, skip, wait-completed"),
        ({"pods": "a/b", "order": 1001}, "between -1000 and 1000"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(rule, words):
    with pytest.raises(ConfigError, match=rf"drain\.rules: .*{words}"):
        Rule(**rule)


def test_rules_survive_the_way_through_state():
    assert DrainSettings.from_props(RULES.to_props()) == RULES
    assert "rules" not in DEFAULT.to_props()
