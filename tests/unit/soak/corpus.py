"""The labelled lines, how they are matched, and the table of what is found and missed.

`python -m tests.unit.soak.corpus` prints the table that docs/soak.md shows between its markers.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pulumi_nodepools.soak.custom import compile_
from pulumi_nodepools.soak.kmem import KMEM
from pulumi_nodepools.soak.lines import Reader
from pulumi_nodepools.soak.match import Matcher
from pulumi_nodepools.soak.model import LINE_LIMIT

FILE = Path(__file__).parents[2] / "corpus" / "soak-lines.tsv"
NEAR = 1588078160.0  # 2020-04-28T12:49:20Z


@dataclass(frozen=True)
class Labelled:
    origin: str
    expected: str
    raw: bytes
    found: str


def logs():
    """The corpus as logs: lists of (origin, expected, raw line)."""
    for block in FILE.read_text(encoding="utf-8").split("\n\n"):
        rows = [line.split("\t", 2) for line in block.splitlines() if line and not line.startswith("#")]
        yield [(origin, expected, _bytes(text)) for origin, expected, text in rows]


def labelled(compile_pattern=compile_):
    """Every line with what the kmem set finds in it."""
    return [line for log in logs() for line in _matched(log, compile_pattern)]


def _matched(log, compile_pattern):
    matcher = Matcher([KMEM], compile_pattern)
    readers = {}
    lines, hits = [], []
    for origin, _, raw in log:
        reader = readers.setdefault(origin, Reader(origin, near=NEAR, source="corpus"))
        texts = list(reader.feed(raw))
        lines.append([line.text.strip()[:LINE_LIMIT] for line in texts])
        hits += [hit for line in texts for hit in matcher.feed(line)]
    hits += matcher.finish()
    for (origin, expected, raw), texts in zip(log, lines, strict=True):
        found = ",".join(f"{hit.signature}={hit.weight}" for hit in hits if hit.line in texts) or "-"
        yield Labelled(origin, expected, raw, found)


def _bytes(text):
    return re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode())


def table():
    """What docs/soak.md shows: per signature the lines that carry it, the missed ones, and the wrong ones."""
    lines = labelled()
    carrying, missed, wrong = Counter(), Counter(), Counter()
    for line in lines:
        expected, found = line.expected.partition("=")[0], line.found.partition("=")[0]
        carrying[expected] += 1
        missed[expected] += line.found != line.expected
        wrong[found] += found not in ("-", expected)
    rows = ["| signature | weight | lines with it | missed | found on other lines |", "|---|---|---|---|---|"]
    for one in KMEM.signatures:
        weight = one.weight + (f", {one.raised} near a kernel signature" if one.raised else "")
        rows.append(f"| `{one.id}` | {weight} | {carrying[one.id]} | {missed[one.id]} | {wrong[one.id]} |")
    rows.append(f"| none (ordinary and quoting lines) | | {carrying['-']} | | {missed['-']} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())  # noqa: T201 - that is what it is for
