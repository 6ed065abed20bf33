"""Plain Python values in place of the engine's property values, and the shapes that inputs must have. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.runtime import rpc

Shape = Any
"""A type or tuple of types; [shape] for a list; {"key": shape} for an object, {"*": shape} for a map."""

FLAG: Shape = (str, bool)
"""A flag that the provider's schema has as a string ("true"); programs write either."""


class Unknown:
    """A value that is not known in preview; one instance, compared by identity.

    On the wire it is the engine's marker string: the SDK's property values can hold a computed value but not send one.
    """

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN = Unknown()


def plain(value: PropertyValue) -> Any:
    """The Python value inside; whole numbers as int, secrets unwrapped, unknowns as UNKNOWN."""
    inner = value.value
    if isinstance(inner, Computed) or inner == rpc.UNKNOWN:
        return UNKNOWN
    if isinstance(inner, float):
        return int(inner) if inner.is_integer() else inner
    if isinstance(inner, Mapping):
        return {key: plain(item) for key, item in inner.items()}
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        return [plain(item) for item in inner]
    return inner


def plain_map(values: Mapping[str, PropertyValue] | None) -> dict[str, Any]:
    """Plain values of a resource's properties; absent and null are the same to every plugin."""
    return {key: plain(value) for key, value in (values or {}).items() if value.value is not None}


def wrap(value: Any) -> PropertyValue:
    if value is UNKNOWN:
        return PropertyValue(rpc.UNKNOWN)
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return PropertyValue(value)
    if isinstance(value, int | float):
        return PropertyValue(float(value))
    if isinstance(value, Mapping):
        return PropertyValue({str(key): wrap(item) for key, item in value.items()})
    return PropertyValue([wrap(item) for item in value])


def wrap_map(values: Mapping[str, Any]) -> dict[str, PropertyValue]:
    return {key: wrap(value) for key, value in values.items()}


def has_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def misfits(path: str, value: Any, shape: Shape) -> list[tuple[str, str]]:
    """(property path, reason) for everything in `value` that does not have the shape; null and unknown fit all."""
    if value is None or value is UNKNOWN or shape is object:
        return []
    if isinstance(shape, list) and isinstance(value, list):
        return [found for i, item in enumerate(value) for found in misfits(f"{path}[{i}]", item, shape[0])]
    if isinstance(shape, dict):
        return _object_misfits(path, value, shape)
    types = list if isinstance(shape, list) else (int, float) if shape is float else shape
    if isinstance(value, types) and (shape is bool or not isinstance(value, bool) or types is FLAG):
        return []
    names = " or ".join(each.__name__ for each in (types if isinstance(types, tuple) else (types,)))
    return [(path, f"expected {names}, got {value!r}")]


def _object_misfits(path: str, value: Any, shape: dict[str, Shape]) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return [(path, f"expected an object, got {value!r}")]
    found: list[tuple[str, str]] = []
    for key, item in value.items():
        inner = f"{path}.{key}" if path else key
        if key in shape or "*" in shape:
            found += misfits(inner, item, shape.get(key, shape.get("*")))
        else:
            known = ", ".join(sorted(shape))
            found.append((inner, f"unexpected property {key!r}; the sandbox's stand-in knows: {known}"))
    return found
