"""Whether the instances of a version are made as the user wrote it, or somebody changed its template or group. Pure.

The lock compares what was written with what was written before; this compares it with what runs. Rendered text is
never compared: another release of this library renders other user data, and its nodes prove themselves all the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi_nodepools.aws.groups import GroupView, Instance, Machine

TEMPLATE_VERSION = "1"
"""The only one that there is: a version's launch template never changes."""


@dataclass(frozen=True)
class Written:
    """What of a version's spec an instance shows; empty where that is not known."""

    image: str = ""
    instance_type: str = ""

    @classmethod
    def read(cls, props: Mapping[str, Any]) -> "Written":
        """The properties imageId and instanceType."""
        return cls(str(props.get("imageId") or ""), str(props.get("instanceType") or ""))


def departures(groups: Sequence[GroupView], machines: Mapping[str, Machine], want: Written) -> dict[str, str]:
    """What each instance has in place of what was written; not of those that are going or that EC2 does not know."""
    staying = [one for group in groups for one in group.instances if not one.leaving]
    found = {one.id: ", ".join(_of(one, machines.get(one.id, Machine()), want)) for one in staying}
    return {instance: told for instance, told in found.items() if told}


def _of(instance: Instance, machine: Machine, want: Written) -> Iterator[str]:
    if instance.template_version not in {"", TEMPLATE_VERSION}:
        yield f"version {instance.template_version} of its launch template in place of {TEMPLATE_VERSION}"
    if want.image and machine.image not in {"", want.image}:
        yield f"imageId {machine.image} in place of {want.image}"
    if want.instance_type and machine.instance_type not in {"", want.instance_type}:
        yield f"instanceType {machine.instance_type} in place of {want.instance_type}"
