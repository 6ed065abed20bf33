"""The families of operating systems that user data can be rendered for, by the name that `osFamily` takes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pulumi_nodepools.bootstrap.families import al2023, bottlerocket, el7, el8, flatcar, ubuntu
from pulumi_nodepools.bootstrap.families.family import Family

OsFamily = Literal["el7", "al2", "el8", "el9", "el10", "al2023", "ubuntu", "flatcar", "bottlerocket"]
"""The names, for type checkers and for the YAML models."""

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {one.name: one for module in (el7, el8, al2023, ubuntu, flatcar, bottlerocket) for one in module.FAMILIES}
)
"""Every family by name, those with cloud-init first, oldest first within their vendor."""

__all__ = ["FAMILIES", "Family", "OsFamily"]
