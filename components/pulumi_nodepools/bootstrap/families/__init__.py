"""The families of operating systems that user data can be rendered for, by the name that `osFamily` takes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pulumi_nodepools.bootstrap.families import al2023, el7, el8, ubuntu
from pulumi_nodepools.bootstrap.families.family import Family

OsFamily = Literal["el7", "al2", "el8", "el9", "el10", "al2023", "ubuntu"]
"""The names, for type checkers and for the YAML models."""

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {one.name: one for one in (*el7.FAMILIES, *el8.FAMILIES, *al2023.FAMILIES, *ubuntu.FAMILIES)}
)
"""Every family by name, oldest first within its vendor."""

__all__ = ["FAMILIES", "Family", "OsFamily"]
