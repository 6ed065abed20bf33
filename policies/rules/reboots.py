"""Boots that end: one part at most reboots the node, and nothing waits for what waits for it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .cloud_config import top_level
from .documents import bottlerocket
from .rule import UNKNOWN, Severity
from .subjects import Answer, NotYet, template_rule
from .user_data import BOOTHOOK, CONFIG, SCRIPT, Part, Problem, decode
from .values import inner, truth

Props = Mapping[str, Any]
_REBOOT = re.compile(
    r"(?:^|[;&|(){}]|\bthen|\belse|\bdo|\bsudo)\s*"
    r"(?:exec\s+)?(?:/(?:usr/)?s?bin/)?"
    r"(?:systemctl\b[^\n;&|#]*\s(?:reboot|kexec)\b|reboot\b|shutdown\b[^\n;&|#]*\s-r|(?:tel)?init\s+6\b)",
    re.MULTILINE,
)


def check_once(props: Props, _config: Props, _pool: Props) -> Iterator[Answer]:
    """At most one part of the user data reboots."""
    parts = yield from _parts(props)
    paths = [name for part in parts or () if (name := _reboots(part))]
    if len(paths) > 1:
        yield f"{len(paths)} parts of its user data reboot the node ({', '.join(paths)}): they race, or loop."


def check_wait(props: Props, _config: Props, pool: Props) -> Iterator[Answer]:
    """Bottlerocket's `should-wait` is not set where the launch hook waits for the node to have joined."""
    if pool.get("osFamily") not in ("bottlerocket", UNKNOWN):
        return
    parts = yield from _parts(props)
    settings = bottlerocket(parts or ())
    if settings and truth(inner(settings, "settings", "autoscaling", "should-wait")) is True:
        yield (
            "settings.autoscaling.should-wait holds kubelet back until the instance is InService, and the launch hook "
            "holds InService back until the node has joined: neither ever happens."
        )


def _parts(props: Props) -> Iterator[Any]:
    """The readable parts as the generator's value; says so itself when they are not known yet."""
    data = props.get("userData")
    if data is UNKNOWN:
        yield NotYet("its user data is unknown before the update")
        return None
    parts = decode(data)
    return None if isinstance(parts, Problem) else parts  # what cannot be read is another rule's finding


def _reboots(part: Part) -> str:
    if part.type == CONFIG:
        return "power_state in a cloud-config" if "power_state" in top_level(part.text) else ""
    if part.type == BOOTHOOK or part.type.startswith(SCRIPT):
        code = "\n".join(line for line in part.text.splitlines() if not line.lstrip().startswith("#"))
        return f"a {part.type} part" if _REBOOT.search(code) else ""
    return ""


RULES = (
    template_rule(
        check_once,
        name="nodepools-launch-template-one-reboot",
        description="At most one part of the user data reboots the node.",
        why="Two reboots race with each other and with the join; per-instance parts do not run again after the second.",
        fix="Leave the reboot to the boothook that NodePool renders; remove power_state and reboot commands elsewhere.",
        example="kernel: {arguments: [nosmt]}",
        link="https://docs.cloud-init.io/en/latest/reference/modules.html",
        severity=Severity.HIGH,
    ),
    template_rule(
        check_wait,
        name="nodepools-launch-template-should-wait",
        description="Bottlerocket does not wait for InService while InService waits for the node.",
        why="Both wait for the other: every launch ends by the hook's timeout and is abandoned.",
        fix="Remove settings.autoscaling.should-wait from the user data of pools with a launch hook.",
        example="[settings.autoscaling]\\nshould-wait = false",
        link="https://bottlerocket.dev/en/os/latest/api/settings/autoscaling/",
        severity=Severity.CRITICAL,
    ),
)
