"""No group of a pool without the hook that drains it before Pulumi deletes it."""

import pytest

from policies.rules.drain_hook import check
from policies.rules.rule import UNKNOWN, Resource
from policies.rules.subjects import GROUP, HOOK, POOL_TAG

URN = f"urn:pulumi:prod::nodes::{GROUP}::worker-7.7.1908-group"
OURS = [{"key": POOL_TAG, "value": "worker", "propagateAtLaunch": "true"}]


def group(tags: object = OURS) -> Resource:
    return Resource(GROUP, URN, "worker-7.7.1908-group", {"tags": tags})


def hook(*urns: str, kind: str = HOOK) -> Resource:
    return Resource(kind, "urn:hook", "worker-7.7.1908-drain", {}, dependencies=urns)


def judge(*resources: Resource, **config):
    return list(check(resources, config))


def test_a_group_with_its_hook_passes():
    assert judge(group(), hook(URN)) == []


@pytest.mark.parametrize("tags", [OURS, [{"key": "a"}, *OURS], [None, *OURS], {POOL_TAG: "worker"}])
def test_a_group_of_ours_without_hook_is_refused(tags):
    (finding,) = judge(group(tags))
    assert finding.judged
    assert finding.urn == URN
    assert "worker-7.7.1908-group" in finding.message
    assert "depends_on=[group]" in finding.message, "the message must say what to write"


def test_a_hook_that_does_not_depend_on_the_group_does_not_count():
    assert judge(group(), hook("urn:other")) != []


def test_another_resource_that_depends_on_the_group_does_not_count():
    assert judge(group(), hook(URN, kind="pulumi-python:dynamic/nodepools:ReadinessGate")) != []


@pytest.mark.parametrize("tags", [None, [], [{"key": "team", "value": "a"}], {}, "odd", 3])
def test_groups_of_others_are_left_alone(tags):
    assert judge(group(tags)) == []


@pytest.mark.parametrize("every", [True, "true", "True", 1])
def test_config_extends_the_rule_to_every_group(every):
    assert judge(group([]), allGroups=every) != []
    assert judge(group([]), hook(URN), allGroups=every) == []


@pytest.mark.parametrize("every", [False, "false", "", None, 0])
def test_a_false_in_any_spelling_does_not(every):
    assert judge(group([]), allGroups=every) == []


@pytest.mark.parametrize("tags", [UNKNOWN, [UNKNOWN], [{"key": UNKNOWN}]])
def test_unknown_tags_cannot_be_judged_yet_unless_there_is_a_hook(tags):
    (finding,) = judge(group(tags))
    assert not finding.judged
    assert "cannot judge" in finding.message
    assert judge(group(tags), hook(URN)) == []
