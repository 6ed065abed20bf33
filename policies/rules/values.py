"""Property values as people and SDKs write them: booleans and numbers as text, one string for a list of one.

Each function hands UNKNOWN on, so that no rule takes a value for absent that is only not known yet.
"""

from collections.abc import Mapping
from typing import Any

from .rule import UNKNOWN, Unknown


def truth(value: object) -> bool | Unknown:
    """A boolean: true, "true", "True", 1; everything else is false."""
    if value is UNKNOWN:
        return UNKNOWN
    if isinstance(value, str):
        return value.strip().lower() in {"true", "1", "yes"}
    return value is True or value == 1


def number(value: object) -> float | Unknown | None:
    """A number, also as text; None for everything that is none."""
    if value is UNKNOWN:
        return UNKNOWN
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def strings(value: object) -> tuple[str, ...] | Unknown:
    """A list of strings, where one string stands for a list of one and nothing for an empty list."""
    if value is UNKNOWN:
        return UNKNOWN
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        return UNKNOWN
    if any(item is UNKNOWN for item in value):
        return UNKNOWN
    return tuple(str(item) for item in value if str(item).strip())


def items(value: object) -> tuple[Any, ...] | Unknown:
    """A list of objects; a single object, as some SDKs write it, is a list of one."""
    if value is UNKNOWN:
        return UNKNOWN
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return tuple(value)
    return (value,)


def inner(value: object, *path: str) -> Any:
    """What stands at `path` inside nested objects; None if nothing does, UNKNOWN if a part of the way is unknown."""
    for key in path:
        if value is UNKNOWN:
            return UNKNOWN
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def texts(value: object) -> dict[str, str] | Unknown:
    """An object whose values are text, such as labels or tags."""
    if value is UNKNOWN:
        return UNKNOWN
    if not isinstance(value, Mapping):
        return {}
    if any(item is UNKNOWN for item in value.values()):
        return UNKNOWN
    return {str(key): "" if item is None else str(item) for key, item in value.items()}
