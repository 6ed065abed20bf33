"""Every Auto Scaling group of a node pool has a DrainHook that depends on it.

Pulumi deletes a resource only after everything that depends on it: that edge is what makes it drain before it
terminates. Whether the hook drains well is left to the hook and its tests.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .rule import UNKNOWN, Finding, Resource, StackRule, Unknown, truth

GROUP = "aws:autoscaling/group:Group"
HOOK = "pulumi-python:dynamic/nodepools:DrainHook"
POOL_TAG = "nodepools.dev/pool"


def check(resources: Sequence[Resource], config: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings for groups without a hook; `config.allGroups` extends the rule from tagged groups to every group."""
    guarded = {urn for resource in resources if resource.type == HOOK for urn in resource.dependencies}
    every = truth(config.get("allGroups"))
    for group in resources:
        if group.type != GROUP or group.urn in guarded:
            continue
        ours = every or _has_pool_tag(group.props)
        if ours is UNKNOWN:
            yield Finding(
                f"cannot judge group {group.name!r} yet: its tags are unknown before the update, "
                f"and no DrainHook depends on it",
                group.urn,
                judged=False,
            )
        elif ours:
            yield Finding(
                f"group {group.name!r} would be deleted with its nodes undrained: no DrainHook depends on it. "
                "Create it through NodePool, or add a DrainHook with depends_on=[group].",
                group.urn,
            )


def _has_pool_tag(props: Mapping[str, Any]) -> bool | Unknown:
    tags = props.get("tags")
    if isinstance(tags, Mapping):  # as tagsAll and older SDKs write them
        return POOL_TAG in tags
    if not isinstance(tags, list | tuple):
        return UNKNOWN if tags is UNKNOWN else False
    keys = [tag.get("key") if isinstance(tag, Mapping) else tag for tag in tags]
    if POOL_TAG in keys:
        return True
    return UNKNOWN if UNKNOWN in keys else False


RULE = StackRule(
    name="nodepools-group-drain-hook",
    description="Every Auto Scaling group of a node pool has a DrainHook that depends on it.",
    types=frozenset({GROUP, HOOK}),
    fix="Create the group through NodePool, or add a DrainHook with depends_on=[group].",
    config={
        "allGroups": {
            "type": ["boolean", "string"],
            "default": False,
            "description": f"Judge every Auto Scaling group of the stack, not only those with the tag {POOL_TAG}.",
        },
    },
    check=check,
)
