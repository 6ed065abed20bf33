"""Lifecycle hooks: a new instance counts once it has proved itself, one that is scaled in is drained first."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .rule import UNKNOWN, Finding, Level, Resource, Severity, StackRule
from .subjects import GROUP, Answer, NotYet, every, group_rule, in_scope
from .values import items, number

Props = Mapping[str, Any]
LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
SEPARATE_HOOK = "aws:autoscaling/lifecycleHook:LifecycleHook"
SCALERS = frozenset({"aws:autoscaling/policy:Policy", "aws:autoscaling/schedule:Schedule"})
BOOT_BUDGET = 600.0
"""Seconds that two power-ons, the validation and the join of a slow image take at most."""


def check_launch(props: Props, config: Props, pool: Props) -> Iterator[Answer]:
    """An initial launch hook that abandons by default and leaves time for `config.bootBudget` seconds."""
    if pool.get("osFamily") == "bottlerocket":  # no shell to answer from; NodePool insists on the startup taint
        return
    hooks = items(props.get("initialLifecycleHooks"))
    if hooks is UNKNOWN or UNKNOWN in hooks:
        yield NotYet("initialLifecycleHooks are unknown before the update")
        return
    launching = [hook for hook in hooks if hook.get("lifecycleTransition") == LAUNCHING]
    if not launching:
        yield "it has no initial hook for launches: an instance counts as capacity before it has proved anything."
    for hook in launching:
        yield from _launch_hook(hook, config)


def _launch_hook(hook: Props, config: Props) -> Iterator[Answer]:
    name, result, heartbeat = hook.get("name"), hook.get("defaultResult"), number(hook.get("heartbeatTimeout"))
    budget = number(config.get("bootBudget"))
    budget = budget if isinstance(budget, float) else BOOT_BUDGET
    if result is UNKNOWN or heartbeat is UNKNOWN:
        yield NotYet(f"result or timeout of the launch hook {name!r} is unknown before the update")
        return
    if result not in ("ABANDON", None):
        yield f"its launch hook {name!r} says {result} when nobody answers: a node that hangs counts as capacity."
    seconds = 3600.0 if heartbeat is None else heartbeat
    if seconds < budget:
        yield f"its launch hook {name!r} gives a node {seconds:g} s, less than the {budget:g} s that a boot may take."


def check_termination(resources: Sequence[Resource], config: Props) -> Iterator[Finding]:
    """A group that scaling policies or schedules make smaller has a termination hook."""
    hooked = {resource.props.get("autoscalingGroupName") for resource in resources if _ends(resource)}
    scalers = [resource for resource in resources if resource.type in SCALERS]
    for group in resources:
        if group.type != GROUP or in_scope(group, config) is False or group.props.get("name") in hooked:
            continue
        hooks = items(group.props.get("initialLifecycleHooks"))
        if hooks is not UNKNOWN and any(_transition(hook) in (TERMINATING, UNKNOWN) for hook in hooks):
            continue
        scaling = [one.name for one in scalers if _scales(one, group)]
        if scaling:
            yield Finding(
                f"group {group.name!r} is scaled in by {', '.join(scaling)}, and no termination hook holds an instance "
                "until its pods have moved.",
                group.urn,
            )


def _ends(resource: Resource) -> bool:
    return resource.type == SEPARATE_HOOK and resource.props.get("lifecycleTransition") == TERMINATING


def _transition(hook: object) -> object:
    return hook.get("lifecycleTransition") if isinstance(hook, Mapping) else hook


def _scales(scaler: Resource, group: Resource) -> bool:
    """By name, or, while names are unknown, by the edge between the two."""
    target = scaler.props.get("autoscalingGroupName")
    return group.urn in scaler.dependencies or (target is not UNKNOWN and target == group.props.get("name"))


RULES = (
    group_rule(
        check_launch,
        name="nodepools-group-launch-hook",
        description="An instance counts only after its node has proved itself (initial launch hook, ABANDON).",
        why="A hook that is added later misses the first instances; one that continues by default proves nothing.",
        fix="Give initialLifecycleHooks one for EC2_INSTANCE_LAUNCHING, defaultResult ABANDON, and time for the boot.",
        example=(
            'initial_lifecycle_hooks=[{"name": "x", "lifecycle_transition": "autoscaling:EC2_INSTANCE_LAUNCHING",'
            ' "default_result": "ABANDON", "heartbeat_timeout": 900}]'
        ),
        link="https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks.html",
        severity=Severity.CRITICAL,
        config={
            "bootBudget": {
                "type": "number",
                "minimum": 30,
                "maximum": 7200,
                "default": BOOT_BUDGET,
                "description": "Seconds that a node may take from its launch until it has joined.",
            }
        },
    ),
    StackRule(
        name="nodepools-group-termination-hook",
        description="A group with scaling policies or schedules has a termination hook.",
        why="A scaling policy ends instances without asking Kubernetes: pods go without eviction and budgets.",
        fix="Add a hook for EC2_INSTANCE_TERMINATING and a handler that drains, or scale with the cluster autoscaler.",
        example='lifecycle_transition="autoscaling:EC2_INSTANCE_TERMINATING"',
        link="https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks.html",
        level=Level.ADVISORY,
        severity=Severity.MEDIUM,
        types=frozenset({GROUP, SEPARATE_HOOK, *SCALERS}),
        config=every(GROUP),
        check=check_termination,
    ),
)
