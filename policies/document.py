"""Writes the part of docs/policies.md that follows from the rules: their table, and a section for each.

python policies/document.py docs/policies.md           write it
python policies/document.py --check docs/policies.md   say whether it is current
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from rules import RULES
from rules.configuration import schema
from rules.rule import Rule

BEGIN, END = "<!-- rules: written by policies/document.py -->", "<!-- end of rules -->"


def main(arguments: list[str]) -> int:
    """0 if the file is current, or was written."""
    path = Path(arguments[-1])
    text = path.read_text()
    wanted = renewed(text)
    if "--check" not in arguments:
        path.write_text(wanted)
    elif text != wanted:
        sys.stderr.write(f"{path} is not current; run: python policies/document.py {path}\n")
        return 1
    return 0


def renewed(text: str) -> str:
    """The document with its generated part written anew."""
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"the document has no part between {BEGIN!r} and {END!r}")
    return "\n".join([f"{before}{BEGIN}", "", *_table(), "", *_sections(), f"{END}{after}"])


def _table() -> Iterator[str]:
    yield "| policy | level | severity | what it asks |"
    yield "|---|---|---|---|"
    for rule in RULES:
        yield f"| [`{rule.name}`](#{rule.name}) | {rule.level.value} | {rule.severity.value} | {rule.description} |"


def _sections() -> Iterator[str]:
    for rule in RULES:
        yield f"### {rule.name}"
        yield ""
        yield f"*{rule.level.value}, {rule.severity.value}.* {rule.description}"
        yield ""
        yield f"Why: {rule.why}"
        yield ""
        yield f"Fix: {rule.fix} ([more]({rule.link}))"
        yield ""
        yield "```"
        yield from rule.example.split("\\n")
        yield "```"
        yield ""
        yield from _configuration(rule)


def _configuration(rule: Rule) -> Iterator[str]:
    own = {key: one for key, one in schema(rule).items() if key != "allow"}
    for key, one in own.items():
        yield f"- `{key}` (default `{json.dumps(one['default'])}`): {one['description']}"
    if own:
        yield ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
