"""A pool's required kernel arguments are gated: a node that booted without one of them can never join.

Two questions. Does an EL7 pool ask for `cgroup.memory=nokmem` at all (its kernel leaks memory without it)? And does
the launch template carry, in its boothook, the drop-in `ConditionKernelCommandLine=<argument>` for each argument that
the pool requires? What is required stands on the NodePool component, whose properties are known in preview even when
the user data is not. Whether the boothook sets the argument well is left to the boot tests: with the gate in place
the worst it can do is a node that never joins.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .rule import UNKNOWN, Finding, Resource, ResourceRule, Unknown, strings
from .user_data import BOOTHOOK, Part, Problem, decode

POOL = "nodepools:aws:NodePool"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
ARGUMENTS_TAG = "nodepools.dev/kernel-arguments"
"""A launch template that no NodePool made may declare what it requires in this tag, separated by blanks."""
NOKMEM = "cgroup.memory=nokmem"
KUBELET = ("kubelet.service",)
JOIN_UNITS = {
    "al2023": ("nodeadm-run.service", *KUBELET),
    "ubuntu": (*KUBELET, "snap.kubelet-eks.daemon.service"),
}
"""What brings a node of a family into the cluster, where that is more than kubelet's own unit."""

_DIRECTIVE = re.compile(r"ConditionKernelCommandLine=(\S*)")
_PLACEHOLDER = re.compile(r"%s|\$\{?\w+\}?|\$\d")
# A unit's drop-in folder as a variable over several units.
_ANY_DROP_IN = re.compile(r"\$\{?\w+\}?\.d\b")
_QUOTES = "\"'`;()\\"


def check(resource: Resource, seen: Mapping[str, Resource], config: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings for a NodePool component or for a launch template."""
    if resource.type == POOL:
        yield from _check_pool(resource, config)
    else:
        yield from _check_template(resource, seen)


def _check_pool(pool: Resource, config: Mapping[str, Any]) -> Iterator[Finding]:
    family = pool.props.get("osFamily")
    if family is UNKNOWN or family is None:
        yield _unjudged(pool, "its operating system family (osFamily) is not known")
        return
    if str(family).lower() != "el7":
        return
    declared = strings(pool.props.get("kernelArguments"))
    if declared is UNKNOWN:
        yield _unjudged(pool, "its kernel arguments (kernelArguments) are not known")
    elif NOKMEM not in declared:
        yield from _without_nokmem(pool, config)


def _without_nokmem(pool: Resource, config: Mapping[str, Any]) -> Iterator[Finding]:
    name, version = pool.props.get("pool"), pool.props.get("version")
    entries = config.get("allowWithoutNokmem") or ()
    for entry in entries:
        if not isinstance(entry, Mapping) or (entry.get("pool"), entry.get("version")) != (name, version):
            continue
        if str(entry.get("reason") or "").strip():
            return
        yield Finding(f"allowWithoutNokmem has an entry for {name}/{version} without a reason; write one", pool.urn)
        return
    yield Finding(
        f"version {version} of pool {name} runs EL7 without {NOKMEM}: its kernel leaks kernel memory until containers "
        f"no longer start. Add {NOKMEM!r} (a separate argument) to kernel.arguments, or list the version with a reason "
        "in this policy's allowWithoutNokmem.",
        pool.urn,
    )


def _check_template(template: Resource, seen: Mapping[str, Resource]) -> Iterator[Finding]:
    declared = _declared(template, seen)
    if declared is UNKNOWN:
        yield _unjudged(template, "what kernel arguments it requires is not known")
        return
    if not declared:
        return
    data = template.props.get("userData")
    if data is UNKNOWN:
        wanted = ", ".join(declared)
        yield _unjudged(template, f"its user data, which must gate {wanted}, is unknown before the update")
        return
    parts = decode(data)
    if isinstance(parts, Problem):
        yield Finding(
            f"launch template {template.name!r} must gate {', '.join(declared)}, but its user data cannot be read: "
            f"{parts.reason}. Nodes would join without the arguments.",
            template.urn,
        )
        return
    hooks = [part for part in parts if part.type == BOOTHOOK]
    yield from _ungated(template, declared, _units(template, seen), hooks)


def _ungated(
    template: Resource, declared: tuple[str, ...], units: tuple[str, ...], hooks: list[Part]
) -> Iterator[Finding]:
    if not hooks:
        yield Finding(
            f"launch template {template.name!r} requires {', '.join(declared)}, but its user data has no {BOOTHOOK} "
            "part: nothing would set the arguments, or keep the node out, before the kubelet starts.",
            template.urn,
        )
        return
    for argument in declared:
        open_units = [unit for unit in units if not any(gates(hook.text, argument, unit) for hook in hooks)]
        if open_units:
            yield Finding(
                f"launch template {template.name!r} requires {argument}, but no boothook writes a drop-in of "
                f"{', '.join(open_units)} with ConditionKernelCommandLine={argument}: "
                "a node booted without it would join.",
                template.urn,
            )


def gates(script: str, argument: str, unit: str = KUBELET[0]) -> bool:
    """Does this boothook write a drop-in that keeps `unit` from starting without exactly `argument`?

    The directive may name the argument, or a variable or `%s` that is filled from a list which holds it.
    """
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("#")]
    code = "\n".join(lines)
    if f"{unit}.d" not in code and not (_has_word(code, unit) and _ANY_DROP_IN.search(code)):
        return False
    for found in _DIRECTIVE.finditer(code):
        value = found.group(1).split("\\n")[0].strip(_QUOTES)
        if value == argument:
            return True
        if _PLACEHOLDER.fullmatch(value) and _has_word(code, argument):
            return True
    return False


def _has_word(code: str, argument: str) -> bool:
    """Is the argument a whole word of the script, quoted or assigned, and not part of a longer one?"""
    word = re.compile(rf"(?:^|(?<=[\s\"'=(])){re.escape(argument)}(?=$|[\s\"');])", re.MULTILINE)
    return word.search(code) is not None


def _units(template: Resource, seen: Mapping[str, Resource]) -> tuple[str, ...]:
    parent = seen.get(template.parent)
    return JOIN_UNITS.get(str(parent.props.get("osFamily")), KUBELET) if parent is not None else KUBELET


def _declared(template: Resource, seen: Mapping[str, Resource]) -> tuple[str, ...] | Unknown:
    parent = seen.get(template.parent)
    if parent is not None:
        return strings(parent.props.get("kernelArguments"))
    if _made_by_pool(template):  # its component was not shown to the pack
        return UNKNOWN
    tags: object = template.props.get("tags")
    value: object = tags.get(ARGUMENTS_TAG) if isinstance(tags, Mapping) else tags
    if value is UNKNOWN:
        return UNKNOWN
    return tuple(value.split()) if isinstance(value, str) else ()


def _made_by_pool(resource: Resource) -> bool:
    """A URN names the types of all ancestors: urn:pulumi:stack::project::parent$child::name."""
    fields = resource.urn.split("::", 2)
    return len(fields) > 2 and f"{POOL}$" in fields[2]


def _unjudged(resource: Resource, why: str) -> Finding:
    return Finding(f"cannot judge {resource.name!r} yet: {why}", resource.urn, judged=False)


RULE = ResourceRule(
    name="nodepools-launch-template-kernel-arguments",
    description="Required kernel arguments are gated: a node that booted without one of them cannot join.",
    types=frozenset({POOL, TEMPLATE}),
    fix="Let NodePool render the user data, and list the arguments under kernel.arguments of the version.",
    config={
        "allowWithoutNokmem": {
            "type": "array",
            "default": [],
            "description": f"EL7 versions that may run without {NOKMEM}, each with a reason.",
            "items": {
                "type": "object",
                "required": ["pool", "version", "reason"],
                "properties": {
                    "pool": {"type": "string", "minLength": 1},
                    "version": {"type": "string", "minLength": 1},
                    "reason": {"type": "string", "minLength": 1},
                },
            },
        },
    },
    check=check,
)
