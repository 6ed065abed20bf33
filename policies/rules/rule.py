"""What a rule is, what it is given and what it answers. Pure; how Pulumi calls it is left to `rules.pack`."""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final


class Unknown(enum.Enum):
    """A value that exists only after the update: a rule may neither pass nor fail on it."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


class Level(enum.Enum):
    """What a violation does: end the preview, or be shown beside it. A stack's configuration may change it."""

    MANDATORY = "mandatory"
    ADVISORY = "advisory"


class Severity(enum.Enum):
    """How bad it is if nobody notices: outage or takeover, breach of a promise, worse odds, untidiness."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


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


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What both kinds of rule have. `config` is JSON schema per property, `types` what the rule looks at.

    `description` is what it asks, `why` what happens otherwise, `fix` what to write, `example` that as code, `link`
    where the reason stands in full.
    """

    name: str
    description: str
    why: str
    fix: str
    example: str
    link: str
    types: frozenset[str]
    level: Level = Level.MANDATORY
    severity: Severity = Severity.HIGH
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ResourceRule(Rule):
    """Judges one resource before it is created or updated, in preview and in `up`.

    The second argument of `check` holds the resources of these types seen so far by URN: parents come before children.
    """

    check: Callable[[Resource, Mapping[str, Resource], Mapping[str, Any]], Iterable[Finding]]


@dataclass(frozen=True, kw_only=True)
class StackRule(Rule):
    """Judges how resources hang together, after all of them are known. Without `types` it is given all of them."""

    check: Callable[[Sequence[Resource], Mapping[str, Any]], Iterable[Finding]]
