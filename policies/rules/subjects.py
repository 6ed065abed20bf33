"""Which resources the rules are about, and rules that judge one such resource by its properties alone.

A rule's own question is a pure `check(props, config)` that yields one text for each thing wrong, or `NotYet` for what
the preview does not know. Whose template or group it is, and how the answer is told, is the same for all and stands
here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .rule import UNKNOWN, Finding, Resource, ResourceRule, Unknown
from .values import truth

POOL = "nodepools:aws:NodePool"
BLUE_GREEN = "nodepools:aws:BlueGreenNodePool"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
GROUP = "aws:autoscaling/group:Group"
DYNAMIC = "pulumi-python:dynamic/nodepools:"
HOOK = f"{DYNAMIC}DrainHook"
GATE = f"{DYNAMIC}ReadinessGate"
LOCK = f"{DYNAMIC}VersionLock"
POOL_TAG = "nodepools.dev/pool"


@dataclass(frozen=True)
class NotYet:
    """Why the preview cannot tell."""

    why: str


Answer = str | NotYet
Check = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterable[Answer]]
PooledCheck = Callable[[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]], Iterable[Answer]]

_EVERY = {
    TEMPLATE: ("allTemplates", "launch template"),
    GROUP: ("allGroups", "Auto Scaling group"),
}


def in_scope(resource: Resource, config: Mapping[str, Any]) -> bool | Unknown:
    """Is this template or group part of a node pool: made by one, tagged as one, or are all meant?"""
    if made_by_pool(resource) or truth(config.get(_EVERY[resource.type][0])) is True:
        return True
    return has_tag(resource.props.get("tags"), POOL_TAG)


def made_by_pool(resource: Resource) -> bool:
    """A URN names the types of all ancestors: urn:pulumi:stack::project::parent$child::name."""
    fields = resource.urn.split("::", 2)
    return len(fields) > 2 and f"{POOL}$" in fields[2]


def has_tag(tags: object, key: str) -> bool | Unknown:
    """Is the tag there, in either way of writing tags: an object, or a group's list of objects with `key`?"""
    if isinstance(tags, Mapping):
        return key in tags
    if not isinstance(tags, list | tuple):
        return UNKNOWN if tags is UNKNOWN else False
    keys = [tag.get("key") if isinstance(tag, Mapping) else tag for tag in tags]
    if key in keys:
        return True
    return UNKNOWN if UNKNOWN in keys else False


def group_tags(props: Mapping[str, Any]) -> dict[str, Mapping[str, Any]] | Unknown:
    """A group's tags by key, each with `value` and `propagateAtLaunch`."""
    tags = props.get("tags")
    if not isinstance(tags, list | tuple):
        return UNKNOWN if tags is UNKNOWN else {}
    found: dict[str, Mapping[str, Any]] = {}
    for tag in tags:
        key = tag.get("key") if isinstance(tag, Mapping) else tag
        if key is UNKNOWN:
            return UNKNOWN
        if isinstance(tag, Mapping):
            found[str(key)] = tag
    return found


def pool_rule(check: Check, **facts: Any) -> ResourceRule:
    """A rule about one version of a pool, judged on the properties of its component, which previews know."""

    def judge(resource: Resource, _seen: Mapping[str, Resource], config: Mapping[str, Any]) -> Iterator[Finding]:
        subject = f"version {resource.props.get('version')} of pool {resource.props.get('pool')}"
        yield from _told(resource, subject, True, check(resource.props, config))

    return ResourceRule(types=frozenset({POOL}), check=judge, **facts)


def template_rule(check: PooledCheck, **facts: Any) -> ResourceRule:
    """A rule about launch templates of node pools; `check` also gets the properties of the template's pool, or {}."""
    return _pooled(TEMPLATE, check, facts)


def group_rule(check: PooledCheck, **facts: Any) -> ResourceRule:
    """The same about Auto Scaling groups."""
    return _pooled(GROUP, check, facts)


def every(kind: str) -> dict[str, Mapping[str, Any]]:
    """The configuration that extends a rule from node pools to everything of this type."""
    key, title = _EVERY[kind]
    text = f"Judge every {title} of the stack, not only those that a NodePool made or that have the tag {POOL_TAG}."
    return {key: {"type": ["boolean", "string"], "default": False, "description": text}}


def _pooled(kind: str, check: PooledCheck, facts: dict[str, Any]) -> ResourceRule:
    title = _EVERY[kind][1]

    def judge(resource: Resource, seen: Mapping[str, Resource], config: Mapping[str, Any]) -> Iterator[Finding]:
        if resource.type != kind:
            return
        ours = in_scope(resource, config)
        if ours is not False:
            parent = seen.get(resource.parent)
            answers = check(resource.props, config, parent.props if parent else {})
            yield from _told(resource, f"{title} {resource.name!r}", ours, answers)

    config = {**every(kind), **facts.pop("config", {})}
    return ResourceRule(types=frozenset({POOL, kind}), config=config, check=judge, **facts)


def _told(resource: Resource, subject: str, ours: bool | Unknown, answers: Iterable[Answer]) -> Iterator[Finding]:
    for answer in answers:
        if isinstance(answer, NotYet):
            yield Finding(f"cannot judge {subject} yet: {answer.why}", resource.urn, judged=False)
        elif ours is UNKNOWN:
            why = f"whether it is a node pool's is unknown before the update; if it is: {answer}"
            yield Finding(f"cannot judge {subject} yet: {why}", resource.urn, judged=False)
        else:
            yield Finding(f"{subject}: {answer}", resource.urn)
