"""What tests of rules share: resources with good properties to break, and one verdict for what a rule answers."""

import base64
from collections.abc import Mapping
from typing import Any

from policies.rules import RULES
from policies.rules.rule import Finding, Resource, ResourceRule, StackRule
from policies.rules.subjects import BLUE_GREEN, GROUP, POOL, POOL_TAG, TEMPLATE

NOKMEM = "cgroup.memory=nokmem"
START = "urn:pulumi:prod::nodes::"
POOL_URN = f"{START}{BLUE_GREEN}${POOL}::worker-7.7.1908"
NAMES: dict[str, ResourceRule | StackRule] = {rule.name: rule for rule in RULES}


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def pool(**props: Any) -> Resource:
    known = {
        "cluster": "prod",
        "pool": "worker",
        "version": "7.7.1908",
        "osFamily": "el7",
        "kernelArguments": [NOKMEM],
        "minimumKernelVersion": "3.10.0-1062.4.1",
        "labels": {"example.com/pool": "worker"},
        "taints": [],
        "zones": "spread",
    }
    return Resource(POOL, POOL_URN, "worker-7.7.1908", known | props)


def template(**props: Any) -> Resource:
    return Resource(TEMPLATE, f"{POOL_URN.replace('::worker', f'${TEMPLATE}::worker')}-t", "worker-t", props, POOL_URN)


def group(**props: Any) -> Resource:
    return Resource(GROUP, f"{POOL_URN.replace('::worker', f'${GROUP}::worker')}-g", "worker-g", props, POOL_URN)


def tag(key: str, value: str = "x", onwards: object = True) -> dict[str, object]:
    return {"key": key, "value": value, "propagateAtLaunch": onwards}


def stranger(kind: str, **props: Any) -> Resource:
    """The same type of resource, made by somebody else and without the tag of a pool."""
    return Resource(kind, f"{START}{kind}::own", "own", props)


def tagged(resource: Resource) -> Resource:
    tags = {POOL_TAG: "worker"} if resource.type == TEMPLATE else [tag(POOL_TAG)]
    return Resource(resource.type, resource.urn, resource.name, {**resource.props, "tags": tags})


def judge(name: str, resource: Resource, *seen: Resource, **config: Any) -> list[Finding]:
    """What a resource rule finds; its pool is a good one unless `seen` says otherwise."""
    rule = NAMES[name]
    assert isinstance(rule, ResourceRule)
    assert resource.type in rule.types, "the pack would never show it to the rule"
    known: Mapping[str, Resource] = {one.urn: one for one in (seen or (pool(),))}
    return list(rule.check(resource, known, config))


def verdict(findings: list[Finding]) -> str:
    """ "good", "bad", "unknown", or "mixed"."""
    kinds = {finding.judged for finding in findings}
    return {frozenset(): "good", frozenset({True}): "bad", frozenset({False}): "unknown"}.get(frozenset(kinds), "mixed")
