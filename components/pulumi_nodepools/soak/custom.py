"""Signature sets for other bugs, as users write them: checked when the configuration is read, before anything runs.

Patterns must compile in RE2, which is linear in time, and in Python's `re`, which is what the collector has; both read
them alike in the tests. One that matches the empty string would match every line.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import re2

from pulumi_nodepools import units
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.soak.kmem import KMEM
from pulumi_nodepools.soak.match import Pattern
from pulumi_nodepools.soak.model import WEIGHTS, Kind, Signature, SignatureSet, Weight

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_SET_KEYS = {"name", "window", "patterns"}
_PATTERN_KEYS = {"id", "kind", "pattern", "weight", "raised", "anchor"}
_LONGEST_WINDOW = 3600.0
_LONGEST_PATTERN = 1000


def compile_(pattern: str) -> Pattern:
    """With RE2, quietly: a pattern from outside cannot make a search explode."""
    options = re2.Options()
    options.log_errors = False
    return cast("Pattern", re2.compile(pattern, options))


def with_custom(field: str, raw: Any) -> tuple[SignatureSet, ...]:
    """The kmem set and the sets in `raw`; ConfigError names `field`, the place in it and what to write."""
    if raw is None:
        return (KMEM,)
    found = [KMEM]
    for index, one in enumerate(_sequence(field, raw)):
        made = _set(f"{field}[{index}]", one)
        if made.name in {other.name for other in found}:
            raise ConfigError(f"{field}[{index}].name: {made.name!r} is the name of another set; choose another")
        found.append(made)
    return tuple(found)


def _set(field: str, raw: Any) -> SignatureSet:
    values = _mapping(field, raw, _SET_KEYS)
    name = _named(f"{field}.name", values.get("name"))
    window = _window(f"{field}.window", values.get("window", "60s"))
    patterns = _sequence(f"{field}.patterns", values.get("patterns"))
    signatures = tuple(_signature(f"{field}.patterns[{index}]", one) for index, one in enumerate(patterns))
    ids = [signature.id for signature in signatures]
    if doubled := next((one for one in ids if ids.count(one) > 1), None):
        raise ConfigError(f"{field}.patterns: the id {doubled!r} stands there twice; each needs its own")
    if any(signature.raised for signature in signatures) and not any(one.anchor for one in signatures):
        raise ConfigError(f"{field}.patterns: `raised` needs a pattern with `anchor: true` in the same set")
    return SignatureSet(name, signatures, window)


def _signature(field: str, raw: Any) -> Signature:
    values = _mapping(field, raw, _PATTERN_KEYS)
    anchor = values.get("anchor", False)
    if not isinstance(anchor, bool):
        raise ConfigError(f"{field}.anchor: {anchor!r} is not true or false")
    return Signature(
        id=_named(f"{field}.id", values.get("id")),
        kind=cast("Kind", _one_of(f"{field}.kind", values.get("kind"), ("kernel", "program"))),
        pattern=_pattern(f"{field}.pattern", values.get("pattern")),
        weight=cast("Weight", _one_of(f"{field}.weight", values.get("weight"), WEIGHTS)),
        raised=cast("Weight", _one_of(f"{field}.raised", values["raised"], WEIGHTS)) if "raised" in values else None,
        anchor=anchor,
    )


def _pattern(field: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{field}: {value!r} is not a pattern; write a regular expression in single quotes")
    if len(value) > _LONGEST_PATTERN:
        raise ConfigError(f"{field}: has {len(value)} characters, at most {_LONGEST_PATTERN} are read; split it")
    try:
        compiled = (compile_(value), re.compile(value))
    except (re2.error, re.error, RecursionError) as error:
        raise ConfigError(
            f"{field}: {value!r} cannot be compiled ({_reason(error)}); write it in RE2's syntax, "
            "without look-around and back references"
        ) from None
    if any(one.search("") for one in compiled):
        raise ConfigError(f"{field}: {value!r} matches the empty string, so every line; ask for at least one character")
    return value


def _reason(error: Exception) -> str:
    first = error.args[0] if error.args else error
    return first.decode(errors="replace") if isinstance(first, bytes) else str(first)


def _window(field: str, value: Any) -> float:
    if not isinstance(value, str):
        raise ConfigError(f"{field}: {value!r} is not a duration; write it like 60s")
    window = units.seconds(field, value)
    if not 0 < window <= _LONGEST_WINDOW:
        raise ConfigError(f"{field}: {value!r} is out of range; write more than 0s and at most 1h")
    return window


def _named(field: str, value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ConfigError(f"{field}: {value!r} is not a name; write up to 40 lower-case letters, digits and '-'")
    return value


def _one_of(field: str, value: Any, known: Sequence[str]) -> str:
    if value not in known:
        raise ConfigError(f"{field}: {value!r} is not known; write one of {', '.join(known)}")
    return str(value)


def _mapping(field: str, raw: Any, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{field}: {raw!r} is not a map; write {', '.join(sorted(known))}")
    if unknown := sorted(str(key) for key in raw if key not in known):
        raise ConfigError(f"{field}: unknown key {unknown[0]}; known here: {', '.join(sorted(known))}")
    return raw


def _sequence(field: str, raw: Any) -> Sequence[Any]:
    if not isinstance(raw, list | tuple) or not raw:
        raise ConfigError(f"{field}: {raw!r} is not a list with at least one entry")
    return raw
