"""What a rule is, what it is given and what it answers. Pure; how Pulumi calls it is left to `rules.pack`."""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final


class Unknown(enum.Enum):
    """A value that exists only after the update: a rule may neither pass nor fail on it."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True)
class Finding:
    """One thing to tell the user. `judged=False` means "cannot judge yet": shown, but it stops nothing."""

    message: str
    urn: str = ""
    judged: bool = True


@dataclass(frozen=True)
class Resource:
    """A resource as the engine describes it; `props` are plain JSON values with UNKNOWN in place of unknown ones.

    `parent` and `dependencies` are URNs.
    """

    type: str
    urn: str
    name: str
    props: Mapping[str, Any]
    parent: str = ""
    dependencies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """What both kinds of rule have. `config` is JSON schema per property, `types` what the rule looks at."""

    name: str
    description: str
    types: frozenset[str]
    fix: str
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ResourceRule(Rule):
    """Judges one resource before it is created or updated, in preview and in `up`.

    The second argument of `check` holds the resources of these types seen so far by URN: parents come before children.
    """

    check: Callable[[Resource, Mapping[str, Resource], Mapping[str, Any]], Iterable[Finding]]


@dataclass(frozen=True, kw_only=True)
class StackRule(Rule):
    """Judges how resources hang together, after all of them are known."""

    check: Callable[[Sequence[Resource], Mapping[str, Any]], Iterable[Finding]]


def truth(value: object) -> bool | Unknown:
    """A boolean as people and SDKs write it: true, "true", "True", 1; everything else is false."""
    if value is UNKNOWN:
        return UNKNOWN
    if isinstance(value, str):
        return value.strip().lower() in {"true", "1", "yes"}
    return value is True or value == 1


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
