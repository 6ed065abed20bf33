"""Which image a pool boots: one that is named exactly, and one that somebody has approved."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .rule import UNKNOWN, Level, Severity
from .subjects import Answer, NotYet, pool_rule, template_rule

Props = Mapping[str, Any]
_ID = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")


def check_pinned(props: Props, _config: Props, _pool: Props) -> Iterator[Answer]:
    """`imageId` is an id, not a name that is looked up at each launch."""
    image = props.get("imageId")
    if image is UNKNOWN:
        yield NotYet("imageId is unknown before the update; write it into the stack's configuration")
    elif image is None:
        yield "it names no imageId, so each launch may bring another image."
    elif not _ID.fullmatch(str(image)):
        yield f"imageId is {str(image)!r}, which is looked up at each launch: what was soaked is not what ships."


def check_approved(props: Props, config: Props) -> Iterator[Answer]:
    """`imageId` is in `config.images`, while that is given."""
    approved = config.get("images") or ()
    image = props.get("imageId")
    if not approved:
        return
    if image is UNKNOWN:
        yield NotYet("its imageId is unknown before the update")
        return
    if image not in [entry.get("id") for entry in approved if isinstance(entry, Mapping)]:
        yield f"imageId {image} is none of the {len(approved)} approved images of this policy's configuration."


RULES = (
    template_rule(
        check_pinned,
        name="nodepools-launch-template-image",
        description="The image is named by its id.",
        why="A parameter or a name means another image tomorrow, on nodes that nobody has tried.",
        fix="Write the id (ami-…) of the image that was tried into the version.",
        example="imageId: ami-0bbbbbbbbbbb77190",
        link="https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html",
        severity=Severity.HIGH,
    ),
    pool_rule(
        check_approved,
        name="nodepools-pool-image-approved",
        description="The image is one that the organisation has approved (once `images` is configured).",
        why="Owner, age and kernel of an image cannot be seen in a program; somebody has to have looked.",
        fix="Use an approved image, or have this one looked at and add its id to `images`.",
        example='"nodepools-pool-image-approved": {"images": [{"id": "ami-0bbbbbbbbbbb77190", "owner": "self"}]}',
        link="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sharing-amis.html",
        level=Level.MANDATORY,
        severity=Severity.MEDIUM,
        config={
            "images": {
                "type": "array",
                "default": [],
                "description": "The approved images. Empty: the rule asks nothing.",
                "items": {
                    "type": "object",
                    "required": ["id"],
                    "additionalProperties": False,
                    "properties": {
                        "id": {"type": "string", "pattern": "^ami-[0-9a-f]{8,17}$"},
                        "owner": {"type": "string"},
                        "note": {"type": "string"},
                    },
                },
            }
        },
    ),
)
