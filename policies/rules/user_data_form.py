"""User data that EC2 accepts and cloud-init takes apart: size, encoding, kinds of parts, keys of cloud-config."""

from collections.abc import Iterator, Mapping
from typing import Any

from . import cloud_config
from .documents import bottlerocket, ignition
from .rule import UNKNOWN, Severity
from .subjects import Answer, NotYet, template_rule
from .user_data import BOOTHOOK, CONFIG, SCRIPT, Part, Problem, decode, raw
from .values import strings

Props = Mapping[str, Any]
MAX_BYTES = 16384
"""What EC2 accepts, counted after base64 is undone and before anything is unpacked."""
PART_TYPES = frozenset(
    {
        BOOTHOOK,
        CONFIG,
        SCRIPT,
        f"{SCRIPT}-per-boot",
        f"{SCRIPT}-per-instance",
        f"{SCRIPT}-per-once",
        "text/cloud-config-archive",
        "text/cloud-config-jsonp",
        "text/jinja2",
        "text/part-handler",
        "text/x-include-once-url",
        "text/x-include-url",
        "application/node.eks.aws",
    }
)
"""What cloud-init has a handler for, and nodeadm's own part."""
LINK = "https://docs.cloud-init.io/en/latest/explanation/format.html"


def check_size(props: Props, _config: Props, _pool: Props) -> Iterator[Answer]:
    """At most 16384 bytes."""
    data = props.get("userData")
    if data is UNKNOWN:
        yield NotYet("its user data is unknown before the update")
        return
    found = raw(data)
    if isinstance(found, bytes) and len(found) > MAX_BYTES:
        yield f"its user data has {len(found)} bytes, {len(found) - MAX_BYTES} more than EC2 takes ({MAX_BYTES})."


def check_form(props: Props, config: Props, _pool: Props) -> Iterator[Answer]:
    """It can be read, and every part is something that acts."""
    data = props.get("userData")
    if data is UNKNOWN:
        yield NotYet("its user data is unknown before the update")
        return
    if data in (None, ""):
        return  # images may need none
    parts = decode(data)
    if isinstance(parts, Problem):
        yield f"its user data cannot be read: {parts.reason}."
        return
    if bottlerocket(parts) or ignition(parts):
        return
    more = strings(config.get("moreKeys"))
    for part in parts:
        for problem in _problems(part, frozenset(() if more is UNKNOWN else more)):
            yield f"its user data has a mistake: {problem}."


def _problems(part: Part, more_keys: frozenset[str]) -> Iterator[str]:
    if part.type not in PART_TYPES:
        yield f"cloud-init does nothing with a part of type {part.type}"
    elif part.type == CONFIG:
        yield from cloud_config.problems(part.text, more_keys)


RULES = (
    template_rule(
        check_size,
        name="nodepools-launch-template-user-data-size",
        description=f"User data has at most {MAX_BYTES} bytes.",
        why="AWS takes the template and refuses each launch: the group stays empty.",
        fix="Shorten it, or compress it: cloud-init unpacks gzip.",
        example="user_data=base64(gzip(text))",
        link="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html",
        severity=Severity.HIGH,
    ),
    template_rule(
        check_form,
        name="nodepools-launch-template-user-data-form",
        description="User data can be read, and every part of it is of a kind that acts.",
        why="cloud-init passes over what it does not know: the node boots half configured and never joins.",
        fix="Correct the part that is named; `cloud-init schema --config-file` looks at a cloud-config in full.",
        example="Content-Type: text/cloud-config\\n\\n#cloud-config\\nruncmd: [...]",
        link=LINK,
        severity=Severity.HIGH,
        config={
            "moreKeys": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "default": [],
                "description": "Top-level cloud-config keys of modules that the image brings itself.",
            }
        },
    ),
)
