"""Reads policy violations out of what `pulumi preview` prints."""

import re

_VIOLATION = re.compile(r"\[(mandatory|advisory)\](?: \[severity: \w+\])?  ([\w-]+)")


def violations(output: str) -> set[tuple[str, str]]:
    """(level, policy) of everything that the engine showed."""
    return set(_VIOLATION.findall(output))
