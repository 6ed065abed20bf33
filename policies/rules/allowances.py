"""Allow-lists: a named resource may break a rule, for a stated reason and up to a date.

The same for every rule, so that no rule has exceptions of its own. Pure: today comes in as an argument.
"""

import datetime
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from .rule import Finding

ALLOW: Mapping[str, Any] = {
    "type": "array",
    "default": [],
    "description": "Resources that may break this rule, by logical name (`*` and `?` match), each with a reason and "
    "the last day on which it holds (YYYY-MM-DD).",
    "items": {
        "type": "object",
        "required": ["resource", "reason", "expires"],
        "additionalProperties": False,
        "properties": {
            "resource": {"type": "string", "minLength": 1},
            "reason": {"type": "string", "pattern": r"\S"},
            "expires": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        },
    },
}


def apply(findings: Iterable[Finding], entries: object, today: datetime.date) -> Iterator[Finding]:
    """The findings that no valid entry excuses. An entry that is over, or that cannot be read, excuses nothing, and
    the finding says so. What could not be judged is never excused: it may turn out to be something else."""
    listed = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list | tuple) else []
    for finding in findings:
        name = finding.urn.rpartition("::")[2]
        matching = [entry for entry in listed if finding.judged and fnmatchcase(name, str(entry.get("resource")))]
        doubts = [_doubt(entry, today) for entry in matching]
        if not doubts:
            yield finding
        elif "" not in doubts:
            yield replace(finding, message=f"{finding.message} ({doubts[0]})")


def _doubt(entry: Mapping[str, Any], today: datetime.date) -> str:
    """Why this entry does not count; "" if it does."""
    name = entry.get("resource")
    if not str(entry.get("reason") or "").strip():
        return f"its entry {name!r} in the allow-list has no reason"
    try:
        last = datetime.date.fromisoformat(str(entry.get("expires")))
    except ValueError:
        return f"its entry {name!r} in the allow-list has no date that can be read: expires is {entry.get('expires')!r}"
    return f"its entry {name!r} in the allow-list expired on {last}" if today > last else ""
