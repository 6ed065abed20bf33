"""A pool's required kernel arguments are gated: a node that booted without one of them can never join.

Does the launch template carry, in its boothook, the drop-in `ConditionKernelCommandLine=<argument>` for each argument
that the pool requires? What is required stands on the NodePool component, whose properties are known in preview even
when the user data is not; whether the right ones are required is `kernel`'s question. Whether the boothook sets the
argument well is left to the boot tests: with the gate in place the worst it can do is a node that never joins.
Bottlerocket and Flatcar have no boothook: their own settings must name the argument (see `_document_gates`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .documents import bottlerocket, ignition
from .rule import UNKNOWN, Finding, Resource, ResourceRule, Severity, Unknown
from .subjects import POOL, TEMPLATE, made_by_pool
from .user_data import BOOTHOOK, Part, Problem, decode
from .values import inner, items, strings, truth

ARGUMENTS_TAG = "nodepools.dev/kernel-arguments"
"""A launch template that no NodePool made may declare what it requires in this tag, separated by blanks."""
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


def check(resource: Resource, seen: Mapping[str, Resource], _config: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings for a launch template. NodePools are only looked at for what they require."""
    if resource.type == TEMPLATE:
        yield from _check_template(resource, seen)


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
    document = _document_gates(parts)
    if document is not None:
        missing = [argument for argument in declared if argument not in document]
        if missing:
            yield Finding(
                f"launch template {template.name!r} requires {', '.join(missing)}, but its settings do not make the "
                "boot wait for it: a node booted without it would join.",
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


def _document_gates(parts: Sequence[Part]) -> frozenset[str] | None:
    """The arguments without which such a node does not come up; None where cloud-init's parts are read instead.

    Bottlerocket reboots by itself until its kernel has what `boot.kernel-parameters` names, if it may. Ignition sets
    `shouldExist` before the root file system is entered; a kubelet drop-in keeps the node out if that did not work.
    """
    if settings := bottlerocket(parts):
        boot = inner(settings, "settings", "boot")
        if truth(inner(boot, "reboot-to-reconcile")) is not True:
            return frozenset()
        found = inner(boot, "kernel-parameters")
        named = found if isinstance(found, Mapping) else {}
        return frozenset(f"{key}={value}" if value else key for key in named for value in items(named[key]) or ("",))
    if configuration := ignition(parts):
        wanted = strings(inner(configuration, "kernelArguments", "shouldExist"))
        units = items(inner(configuration, "systemd", "units"))
        texts = [
            str(inner(drop_in, "contents"))
            for unit in units
            if inner(unit, "name") == KUBELET[0]
            for drop_in in items(inner(unit, "dropins"))
        ]
        known = () if wanted is UNKNOWN else wanted
        return frozenset(one for one in known if any(one in _DIRECTIVE.findall(text) for text in texts))
    return None


def _units(template: Resource, seen: Mapping[str, Resource]) -> tuple[str, ...]:
    parent = seen.get(template.parent)
    return JOIN_UNITS.get(str(parent.props.get("osFamily")), KUBELET) if parent is not None else KUBELET


def _declared(template: Resource, seen: Mapping[str, Resource]) -> tuple[str, ...] | Unknown:
    parent = seen.get(template.parent)
    if parent is not None:
        return strings(parent.props.get("kernelArguments"))
    if made_by_pool(template):  # its component was not shown to the pack
        return UNKNOWN
    tags: object = template.props.get("tags")
    value: object = tags.get(ARGUMENTS_TAG) if isinstance(tags, Mapping) else tags
    if value is UNKNOWN:
        return UNKNOWN
    return tuple(value.split()) if isinstance(value, str) else ()


def _unjudged(resource: Resource, why: str) -> Finding:
    return Finding(f"cannot judge {resource.name!r} yet: {why}", resource.urn, judged=False)


RULES = (
    ResourceRule(
        name="nodepools-launch-template-kernel-arguments",
        description="Required kernel arguments are gated: a node that booted without one of them cannot join.",
        why="A node that joins without its arguments runs pods on the very kernel that was to be patched.",
        fix="Let NodePool render the user data, and list the arguments under kernel.arguments of the version.",
        example='kernel: {arguments: ["cgroup.memory=nokmem"]}',
        link="https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html",
        severity=Severity.CRITICAL,
        types=frozenset({POOL, TEMPLATE}),
        check=check,
    ),
)
