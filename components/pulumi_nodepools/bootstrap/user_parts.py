"""Judges the user's own parts: what would be ignored, would betray a secret, or would reboot beside the gate's reboot.

Text names the part and the line and never quotes it: a part may hold a secret that no pattern knows.
"""

import re
from collections.abc import Iterator, Sequence

from pulumi_nodepools.bootstrap import bottlerocket, cloud_config, secrets
from pulumi_nodepools.bootstrap.families.family import Family
from pulumi_nodepools.bootstrap.mime import Section
from pulumi_nodepools.bootstrap.model import UserPart
from pulumi_nodepools.bootstrap.reboots import reboots_in

MOST = 50
"""More parts than anyone writes by hand; they are numbered with two digits."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_MIME = {"cloud-config": "text/cloud-config", "shell-script": "text/x-shellscript", "boothook": "text/cloud-boothook"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def sections(parts: Sequence[UserPart]) -> list[Section]:
    """As they ship. cloud-init sorts scripts by file name: a number keeps their order, and them before the join."""
    return [(_MIME[part.type], f"18-{index:02}-{part.name}", part.content) for index, part in enumerate(parts)]


def problems(part: UserPart) -> Iterator[str]:
    """What is wrong with one part by itself."""
    if not _NAME.fullmatch(part.name):
        yield (
            f"part name {part.name!r} cannot stand in a file name: at most 64 letters, digits, '-', '_' and '.', "
            "beginning and ending with a letter or digit"
        )
    for line, found in _content(part):
        yield f"part {part.name!r} line {line}: {found}"
    for line, kind in secrets.find(part.content):
        yield f"part {part.name!r} line {line}: holds {kind}, and {secrets.ADVICE}"


def _content(part: UserPart) -> Iterator[tuple[int, str]]:
    control = _CONTROL.search(part.content)
    if control:
        line = part.content.count("\n", 0, control.start()) + 1
        what = "Windows line ends (CR LF)" if control.group() == "\r" else f"the control character {control.group()!r}"
        yield line, f"has {what}, which a node cannot run; write plain text with LF"
    elif part.type == "cloud-config":
        yield from cloud_config.problems(part.content)
    elif part.type == "settings":
        yield from bottlerocket.part_problems(part.content)
    elif not part.content.removeprefix("#cloud-boothook\n").startswith("#!"):
        yield 1, "does not begin with #! and an interpreter (such as #!/bin/sh), so it would not be run"


def problems_between(parts: Sequence[UserPart], kernel_arguments: Sequence[str], family: Family) -> Iterator[str]:
    """What is wrong with parts beside each other, with their family, and with the reboot that arguments need."""
    taken = " or ".join(family.part_types)
    for part in parts:
        if part.type not in family.part_types:
            fix = f"write one of type {taken}" if taken else "it reads Ignition alone; put it into the image"
            yield f"part {part.name!r}: {family.title} cannot read a part of type {part.type}; {fix}"
    if len(parts) > MOST:
        yield f"{len(parts)} parts are more than {MOST}; put several into one"
    names = [part.name for part in parts]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"part name {name!r} is given {names.count(name)} times; names tell parts apart, rename one"
    yield from _lost_keys(parts)
    for part in parts if kernel_arguments else ():
        for line, what in reboots(part):
            yield (
                f"part {part.name!r} line {line}: {what} is a second way to reboot beside that of kernel.arguments, "
                "which already restarts the node once before it joins; remove it"
            )


def _lost_keys(parts: Sequence[UserPart]) -> Iterator[str]:
    """cloud-init lets a later part's key replace an earlier one's whole, unless the part says how to merge."""
    owner: dict[str, str] = {}
    for part in parts:
        if part.type != "cloud-config":
            continue
        keys = cloud_config.keys(part.content)
        for key in sorted(keys):
            if key in owner and not keys & cloud_config.MERGES:
                yield (
                    f"parts {owner[key]!r} and {part.name!r} both have {key}, and cloud-init would drop the first; put "
                    f"them into one part, or say merge_how in {part.name!r}"
                )
            owner[key] = part.name


def reboots(part: UserPart) -> Iterator[tuple[int, str]]:
    """(line, what) of everything in the part that restarts the machine."""
    if part.type == "cloud-config":
        return cloud_config.reboots(part.content)
    return iter(()) if part.type == "settings" else reboots_in(part.content)


def doubts(parts: Sequence[UserPart]) -> Iterator[str]:
    """What is taken although its writer may expect something else."""
    for part in parts:
        if part.type == "cloud-config" and "runcmd" in cloud_config.keys(part.content):
            yield (
                f"part {part.name!r}: cloud-init runs runcmd after all scripts, so after the node has joined; use a "
                "part of type shell-script for what must be there before"
            )
