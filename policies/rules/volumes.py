"""Volumes of nodes: encrypted, and of a type that keeps its speed."""

from collections.abc import Iterator, Mapping
from typing import Any

from .rule import UNKNOWN, Severity
from .subjects import Answer, NotYet, template_rule
from .values import items, strings, truth

Props = Mapping[str, Any]
TYPES = ["gp3", "io2"]


def check_encryption(props: Props, _config: Props, _pool: Props) -> Iterator[Answer]:
    """Every EBS mapping has `encrypted`; without any mapping the image decides."""
    mappings = _volumes(props)
    if mappings is None:
        yield NotYet("blockDeviceMappings are unknown before the update")
        return
    if not mappings:
        yield "it has no blockDeviceMappings, so the root volume is encrypted only if the image or the account says so."
    for device, ebs in mappings:
        encrypted = UNKNOWN if ebs is UNKNOWN else truth(ebs.get("encrypted"))
        if encrypted is UNKNOWN:
            yield NotYet(f"whether volume {device} is encrypted is unknown before the update")
        elif not encrypted:
            yield f"volume {device} is not encrypted: pods' data and secrets lie on it in the clear."


def check_type(props: Props, config: Props, _pool: Props) -> Iterator[Answer]:
    """Every EBS mapping that names a type names one of `config.types`; AWS's default is gp2."""
    wanted = strings(config.get("types", TYPES))
    allowed = TYPES if wanted is UNKNOWN else wanted
    mappings = _volumes(props)
    if mappings is None:
        yield NotYet("blockDeviceMappings are unknown before the update")
    for device, ebs in mappings or ():
        kind = UNKNOWN if ebs is UNKNOWN else ebs.get("volumeType")
        if kind is UNKNOWN:
            yield NotYet(f"the type of volume {device} is unknown before the update")
        elif kind not in allowed:
            shown = "not set, and gp2 is the default" if kind is None else repr(kind)
            yield f"volumeType of {device} is {shown}; allowed are {', '.join(allowed)}."


def _volumes(props: Props) -> list[tuple[str, Any]] | None:
    """(device, `ebs`) of each EBS mapping; None if the list itself is unknown. Instance store has no `ebs`."""
    mappings = items(props.get("blockDeviceMappings"))
    if mappings is UNKNOWN:
        return None
    found = []
    for mapping in mappings:
        if mapping is UNKNOWN:
            found.append(("?", UNKNOWN))
        elif isinstance(mapping, Mapping) and (
            mapping.get("ebs") is UNKNOWN or isinstance(mapping.get("ebs"), Mapping)
        ):
            found.append((str(mapping.get("deviceName")), mapping["ebs"]))
    return found


RULES = (
    template_rule(
        check_encryption,
        name="nodepools-launch-template-volume-encryption",
        description="Every volume of a node is encrypted.",
        why="Images, logs and secrets of every pod lie on it; a snapshot of an unencrypted volume can be read.",
        fix="Set blockDeviceMappings[].ebs.encrypted to true, the root volume included.",
        example='block_device_mappings=[{"device_name": "/dev/xvda", "ebs": {"encrypted": "true"}}]',
        link="https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption.html",
        severity=Severity.HIGH,
    ),
    template_rule(
        check_type,
        name="nodepools-launch-template-volume-type",
        description="Volumes are of a type whose speed does not run out.",
        why="gp2 lives on credits: a node that pulls images for a whole drain becomes slow when it is needed most.",
        fix='Set blockDeviceMappings[].ebs.volumeType to "gp3" or "io2".',
        example='block_device_mappings=[{"device_name": "/dev/xvda", "ebs": {"volume_type": "gp3"}}]',
        link="https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html",
        severity=Severity.MEDIUM,
        config={
            "types": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "minLength": 1},
                "default": TYPES,
                "description": "The volume types that are fine.",
            }
        },
    ),
)
