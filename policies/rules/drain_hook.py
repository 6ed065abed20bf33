"""Every Auto Scaling group of a node pool has a DrainHook that depends on it.

Pulumi deletes a resource only after everything that depends on it: that edge is what makes it drain before it
terminates. Whether the hook drains well is left to the hook and its tests.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .rule import UNKNOWN, Finding, Resource, Severity, StackRule
from .subjects import GROUP, HOOK, every, in_scope


def check(resources: Sequence[Resource], config: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings for groups without a hook; `config.allGroups` extends the rule from tagged groups to every group."""
    guarded = {urn for resource in resources if resource.type == HOOK for urn in resource.dependencies}
    for group in resources:
        if group.type != GROUP or group.urn in guarded:
            continue
        ours = in_scope(group, config)
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


RULES = (
    StackRule(
        name="nodepools-group-drain-hook",
        description="Every Auto Scaling group of a node pool has a DrainHook that depends on it.",
        why="Pulumi would delete the group while its pods run; they go without eviction, budgets or grace.",
        fix="Create the group through NodePool, or add a DrainHook with depends_on=[group].",
        example='DrainHook("worker-drain", props, pulumi.ResourceOptions(depends_on=[group]))',
        link="https://www.pulumi.com/docs/iac/concepts/resources/options/dependson/",
        severity=Severity.CRITICAL,
        types=frozenset({GROUP, HOOK}),
        config=every(GROUP),
        check=check,
    ),
)
