"""The public names are listed in the documentation; `make types` checks user_program.py as users check theirs."""

import re
from pathlib import Path

import pulumi_nodepools

API = Path(__file__).parents[2] / "docs" / "api.md"


def test_public_names_are_listed_and_nothing_else_is() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", API.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(pulumi_nodepools.__all__)


def test_every_public_name_can_be_imported() -> None:
    for name in pulumi_nodepools.__all__:
        assert getattr(pulumi_nodepools, name) is not None
