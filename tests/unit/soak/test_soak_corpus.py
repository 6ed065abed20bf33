"""The kmem set over labelled lines: what must be found, what must not, and the table in the docs."""

import re
from pathlib import Path

from tests.unit.soak.corpus import labelled, table

DOCS = Path(__file__).parents[3] / "docs" / "soak.md"


def test_the_corpus_has_at_least_200_lines_of_both_kinds():
    lines = labelled()
    ordinary = sum(line.expected == "-" for line in lines)
    assert len(lines) >= 200
    assert ordinary >= 100
    assert len(lines) - ordinary >= 90


def test_every_labelled_line_is_found_with_its_weight_and_nothing_else_is():
    assert [(line.expected, line.found, line.raw) for line in labelled() if line.expected != line.found] == []


def test_re2_and_the_collectors_re_agree_on_every_line():
    assert labelled() == labelled(re.compile)


def test_the_docs_show_the_table_of_this_corpus():
    shown = DOCS.read_text().split("<!-- corpus table -->\n")[1].strip()
    assert shown == table(), "write it again with: python -m tests.unit.soak.corpus"
