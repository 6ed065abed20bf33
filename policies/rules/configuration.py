"""What a stack may configure of a rule. Levels are the engine's own and stand in no schema.

The engine refuses values that do not fit the schema before it asks anything, but passes over keys that the schema does
not have: a misspelt key would quietly change nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from .allowances import ALLOW
from .rule import Rule


def schema(rule: Rule) -> dict[str, dict[str, Any]]:
    """The rule's properties as JSON schema, with the allow-list that every rule has."""
    return {"allow": dict(ALLOW), **{key: dict(value) for key, value in rule.config.items()}}


def mistakes(rule: Rule, config: Mapping[str, Any]) -> Iterator[str]:
    """One text for each key that the rule does not know."""
    known = schema(rule)
    for key in sorted(config.keys() - known.keys()):
        yield f"the configuration of {rule.name} has {key!r}, which means nothing here; it takes {', '.join(known)}."
