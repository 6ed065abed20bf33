"""What a version says about its kernel: EL7 accounts no kernel memory and is new enough for that, others leave it on.

Judged on the component's properties, which previews know. Whether the argument is enforced on the node is
`kernel_arguments`' question; that the running kernel is as new as declared is proved by the node's validator.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .rule import UNKNOWN, Level, Severity, Unknown
from .subjects import Answer, NotYet, pool_rule
from .values import strings

Props = Mapping[str, Any]
NOKMEM = "cgroup.memory=nokmem"
FLOOR = "3.10.0-1062.4.1"
"""The first kernel of EL7 that is known to honour the argument."""
STANDING_BY = ("standby", "retired")
LINK = "https://github.com/kubernetes/kubernetes/issues/61937"


def check_nokmem(props: Props, _config: Props) -> Iterator[Answer]:
    """EL7 requires `cgroup.memory=nokmem`. A version that takes no workloads may stay as it is, for a rollback."""
    if props.get("state") in STANDING_BY:
        return
    family, declared = _facts(props)
    if family is UNKNOWN:
        yield NotYet("its operating system family (osFamily) is not known")
    elif family == "el7" and declared is UNKNOWN:
        yield NotYet("its kernel arguments (kernelArguments) are not known")
    elif family == "el7" and declared is not UNKNOWN and NOKMEM not in declared:
        yield f"it runs EL7 without {NOKMEM}: its kernel leaks kernel memory until containers no longer start."


def check_needless(props: Props, _config: Props) -> Iterator[Answer]:
    """Families other than EL7 do without it."""
    family, declared = _facts(props)
    if family in ("el7", UNKNOWN) or declared is UNKNOWN:
        return  # unknown families and arguments are told by the rule above
    if any(_is_nokmem(argument) for argument in declared):
        yield f"it sets {NOKMEM} on {family}, whose kernels do not leak; nothing bounds the kernel memory of a pod."


def check_floor(props: Props, config: Props) -> Iterator[Answer]:
    """EL7 with the argument declares a kernel floor that is at least `config.floor`."""
    family, declared = _facts(props)
    if family != "el7" or declared is UNKNOWN or NOKMEM not in declared:
        return
    floor = str(config.get("floor") or FLOOR)
    least = props.get("minimumKernelVersion")
    if least is UNKNOWN:
        yield NotYet("minimumKernelVersion is not known")
    elif not least:
        yield f"it declares no kernel.minimumVersion; kernels before {floor} are not known to honour {NOKMEM}."
    elif _numbers(str(least)) < _numbers(floor):
        yield f"kernel.minimumVersion {least} is below {floor}, the first known to honour {NOKMEM}."


def _facts(props: Props) -> tuple[str | Unknown, tuple[str, ...] | Unknown]:
    family = props.get("osFamily")
    known = UNKNOWN if family is UNKNOWN or family is None else str(family).lower()
    return known, strings(props.get("kernelArguments"))


def _is_nokmem(argument: str) -> bool:
    key, _, value = argument.partition("=")
    return key == "cgroup.memory" and "nokmem" in value.split(",")


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a kernel release: 3.10.0-1062.4.1.el7.x86_64 is 3, 10, 0, 1062, 4, 1."""
    leading = re.match(r"\d+(?:[.-]\d+)*", version)
    return tuple(int(part) for part in re.split(r"[.-]", leading.group())) if leading else ()


RULES = (
    pool_rule(
        check_nokmem,
        name="nodepools-pool-nokmem",
        description=f"EL7 nodes do not account kernel memory ({NOKMEM}).",
        why="Each container leaks a part of the kernel's memory, until none can be started and only a reboot helps.",
        fix=f"Add {NOKMEM!r}, as an argument of its own, to kernel.arguments of the version.",
        example=f'kernel: {{arguments: ["{NOKMEM}"], minimumVersion: {FLOOR}}}',
        link=LINK,
        severity=Severity.CRITICAL,
    ),
    pool_rule(
        check_floor,
        name="nodepools-pool-kernel-floor",
        description=f"EL7 versions with {NOKMEM} declare the oldest kernel that may join.",
        why="An older kernel may take the argument and ignore it; the validator can only check a declared floor.",
        fix=f"Set kernel.minimumVersion to {FLOOR} or newer.",
        example=f"kernel: {{minimumVersion: {FLOOR}}}",
        link=LINK,
        severity=Severity.HIGH,
        config={
            "floor": {
                "type": "string",
                "pattern": r"^\d+(\.\d+)*(-\d+(\.\d+)*)?$",
                "default": FLOOR,
                "description": "The oldest kernel release that may be declared.",
            }
        },
    ),
    pool_rule(
        check_needless,
        name="nodepools-pool-nokmem-needless",
        description=f"Only EL7 turns the accounting of kernel memory off ({NOKMEM}).",
        why="Without it one pod can take all of a node's kernel memory, and metrics under-report.",
        fix="Remove the argument from versions of other families.",
        example="kernel: {arguments: []}",
        link=LINK,
        level=Level.ADVISORY,
        severity=Severity.MEDIUM,
    ),
)
