"""Rules about Auto Scaling groups, as tables: what passes, what is refused in which words, what is not known yet."""

import pytest

from policies.rules.lifecycle_hooks import LAUNCHING
from policies.rules.rule import UNKNOWN
from policies.rules.subjects import GROUP, POOL_TAG
from tests.policies.rule_case import group, judge, pool, stranger, tag, tagged, verdict

VERSION, LAUNCH = "nodepools-group-template-version", "nodepools-group-launch-hook"
ZONES, REBALANCE = "nodepools-group-zones", "nodepools-group-zone-rebalance"
TAGS, AUTOSCALER = "nodepools-group-tags", "nodepools-group-autoscaler-tags"
CANARY = "nodepools-canary-size"

CA = "k8s.io/cluster-autoscaler/"
MANAGED = tag(f"{CA}enabled", "true")
LABEL_TAG = tag(f"{CA}node-template/label/example.com/pool", "worker")
OWN = [tag("nodepools.dev/cluster"), tag(POOL_TAG), tag("nodepools.dev/version")]


def launch(version: object) -> dict[str, object]:
    return {"launchTemplate": {"id": "lt-1", "version": version}}


def hook(**given: object) -> dict[str, object]:
    known = {"name": "v", "lifecycleTransition": LAUNCHING, "defaultResult": "ABANDON", "heartbeatTimeout": 900}
    return {"initialLifecycleHooks": [known | given]}


def mixed(version: object) -> dict[str, object]:
    inside = {"launchTemplateSpecification": {"launchTemplateId": "lt-1", "version": version}}
    return {"mixedInstancesPolicy": {"launchTemplate": inside}}


GOOD = [
    (VERSION, launch("3")),
    (VERSION, launch(3)),
    (VERSION, mixed("1")),
    (LAUNCH, hook()),
    (LAUNCH, hook(heartbeatTimeout="600", defaultResult=None)),
    (LAUNCH, hook(heartbeatTimeout=None)),  # AWS's default is an hour
    (ZONES, {"vpcZoneIdentifiers": ["subnet-1", "subnet-2"]}),
    (ZONES, {"availabilityZones": ["a", "b"]}),
    (REBALANCE, {"tags": OWN}),
    (REBALANCE, {"tags": [MANAGED], "suspendedProcesses": ["AZRebalance"]}),
    (TAGS, {"tags": OWN}),
    (TAGS, {"tags": [tag(each["key"], "x", "true") for each in OWN]}),
    (AUTOSCALER, {"tags": OWN, "minSize": 0}),
    (AUTOSCALER, {"tags": [MANAGED], "minSize": 1}),
    (AUTOSCALER, {"tags": [MANAGED, LABEL_TAG], "minSize": "0"}),
    (AUTOSCALER, {"tags": [tag(f"{CA}node-template/label/{POOL_TAG}"), LABEL_TAG], "minSize": 0}),
    (AUTOSCALER, {"tags": [MANAGED, LABEL_TAG, tag(f"{CA}node-template/label/{POOL_TAG}", "worker")], "minSize": 0}),
    (CANARY, {"minSize": 0, "maxSize": 20}),  # not a canary
]
BAD = [
    (VERSION, launch("$Latest"), "'$Latest'"),
    (VERSION, launch(None), "means $Default"),
    (VERSION, mixed("$Default"), "'$Default'"),
    (VERSION, {"launchConfiguration": "old"}, "a launch configuration"),
    (VERSION, {}, "nothing that is named"),
    (LAUNCH, {}, "no initial hook for launches"),
    (LAUNCH, hook(lifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING"), "no initial hook for launches"),
    (LAUNCH, hook(defaultResult="CONTINUE"), "says CONTINUE when nobody answers"),
    (LAUNCH, hook(heartbeatTimeout="300"), "gives a node 300 s, less than the 600 s"),
    (ZONES, {"vpcZoneIdentifiers": ["subnet-1", "subnet-1"]}, "one subnet"),
    (ZONES, {}, "one subnet"),
    (REBALANCE, {"tags": [MANAGED], "suspendedProcesses": ["Launch"]}, "AZRebalance may end its instances"),
    (TAGS, {"tags": OWN[:2]}, "no tag nodepools.dev/version"),
    (TAGS, {"tags": [*OWN[:2], tag("nodepools.dev/version", "x", "false")]}, "no propagateAtLaunch"),
    (TAGS, {}, "no tag nodepools.dev/cluster"),
    (AUTOSCALER, {"tags": [MANAGED], "minSize": 0}, "has no tag k8s.io/cluster-autoscaler/node-template/label/"),
    (AUTOSCALER, {"tags": [tag(LABEL_TAG["key"], "batch")], "minSize": 1}, "says 'batch', but its nodes have 'worker'"),
    (AUTOSCALER, {"tags": [tag(f"{CA}node-template/taint/a")], "minSize": 1}, "nothing of the kind"),
]
UNKNOWNS = [
    (VERSION, launch(UNKNOWN)),
    (VERSION, {"launchTemplate": UNKNOWN}),
    (LAUNCH, {"initialLifecycleHooks": UNKNOWN}),
    (LAUNCH, {"initialLifecycleHooks": [UNKNOWN]}),
    (LAUNCH, hook(defaultResult=UNKNOWN)),
    (LAUNCH, hook(heartbeatTimeout=UNKNOWN)),
    (ZONES, {"vpcZoneIdentifiers": [UNKNOWN]}),
    (REBALANCE, {"tags": [MANAGED], "suspendedProcesses": UNKNOWN}),
    (TAGS, {"tags": UNKNOWN}),
    (TAGS, {"tags": [{"key": UNKNOWN}]}),
    (TAGS, {"tags": [*OWN[:2], tag("nodepools.dev/version", "x", UNKNOWN)]}),
]
CONFIGURED = [
    (LAUNCH, hook(heartbeatTimeout=300), {"bootBudget": 120}),
    (TAGS, {"tags": OWN[:1]}, {"required": ["nodepools.dev/cluster"]}),
]
SIZES = [
    ("good", {"minSize": 2, "maxSize": 2}, {}),
    ("good", {"minSize": "1", "maxSize": "2", "protectFromScaleIn": "true"}, {}),
    ("bad", {"minSize": 1, "maxSize": 2}, {}),
    ("bad", {"minSize": 3, "maxSize": 3}, {}),
    ("good", {"minSize": 3, "maxSize": 3}, {"maximum": 3}),
    ("bad", {}, {}),
    ("unknown", {"minSize": 1, "maxSize": UNKNOWN}, {}),
]


@pytest.mark.parametrize(("name", "props"), GOOD)
def test_good(name, props):
    assert judge(name, group(**props)) == []


@pytest.mark.parametrize(("name", "props", "words"), BAD)
def test_bad(name, props, words):
    findings = judge(name, group(**props))
    assert verdict(findings) == "bad"
    assert "Auto Scaling group 'worker-g'" in findings[0].message
    assert any(words in finding.message for finding in findings), findings


@pytest.mark.parametrize(("name", "props"), UNKNOWNS)
def test_unknown_is_never_good(name, props):
    assert verdict(judge(name, group(**props))) == "unknown"


@pytest.mark.parametrize(("name", "props", "config"), CONFIGURED)
def test_configuration_decides(name, props, config):
    assert verdict(judge(name, group(**props))) == "bad"
    assert judge(name, group(**props), **config) == []


@pytest.mark.parametrize(("expected", "props", "config"), SIZES)
def test_canaries_are_few_and_stay(expected, props, config):
    assert verdict(judge(CANARY, group(**props), pool(state="canary"), **config)) == expected


@pytest.mark.parametrize("facts", [{"labels": UNKNOWN}, {"taints": UNKNOWN}, {"labels": {"a": UNKNOWN}}])
def test_autoscaler_tags_wait_for_what_nodes_will_have(facts):
    assert verdict(judge(AUTOSCALER, group(tags=[MANAGED], minSize=0), pool(**facts))) == "unknown"


def test_autoscaler_tags_describe_taints_by_value_and_effect():
    tainted = pool(labels={}, taints=["example.com/batch=yes:NoSchedule"])
    told = tag(f"{CA}node-template/taint/example.com/batch", "yes:NoSchedule")
    assert judge(AUTOSCALER, group(tags=[told], minSize=0), tainted) == []
    assert verdict(judge(AUTOSCALER, group(tags=[{**told, "value": "yes"}], minSize=0), tainted)) == "bad"


def test_a_pool_with_a_group_per_zone_may_have_one_subnet_in_each():
    assert judge(ZONES, group(vpcZoneIdentifiers=["subnet-1"]), pool(zones="each")) == []


@pytest.mark.parametrize("name", [VERSION, LAUNCH, ZONES])
def test_groups_of_others_are_judged_only_on_request(name):
    own = stranger(GROUP)
    assert judge(name, own) == []
    assert verdict(judge(name, own, allGroups=True)) == "bad"
    assert verdict(judge(name, tagged(own))) == "bad"
    assert verdict(judge(name, stranger(GROUP, tags=UNKNOWN))) == "unknown"


def test_nodes_without_a_shell_need_no_launch_hook():
    assert judge(LAUNCH, group(), pool(osFamily="bottlerocket")) == []
