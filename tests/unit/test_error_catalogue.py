"""docs/errors.md against the code: every expected failure is described, with its exit code, and nothing else is."""

import re
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import pulumi_nodepools
from pulumi_nodepools import cli
from pulumi_nodepools.errors import NodePoolsError

CATALOGUE = Path(__file__).parents[2] / "docs" / "errors.md"
ROW = re.compile(r"^\| `(\w+)` \| (\d) \| (.+) \| (.+) \|$", re.MULTILINE)


def expected_failures():
    for module in walk_packages(pulumi_nodepools.__path__, "pulumi_nodepools."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    found, new = set(), {NodePoolsError}
    while new:
        found |= new
        new = {sub for error in new for sub in error.__subclasses__()} - found
    return {error for error in found if error.__module__.startswith("pulumi_nodepools")}


def test_every_failure_is_described_with_its_exit_code():
    described = {name: int(code) for name, code, _, _ in ROW.findall(CATALOGUE.read_text())}
    assert described == {error.__name__: error.exit_code for error in expected_failures()}


def test_every_description_says_what_to_do():
    for name, _, meaning, step in ROW.findall(CATALOGUE.read_text()):
        assert len(meaning) > 20, name
        assert len(step) > 20, name


@pytest.mark.parametrize("error", sorted(expected_failures(), key=lambda error: error.__name__))
def test_the_command_shows_each_as_one_message_and_ends_with_its_code(error, monkeypatch, capsys):
    failure = error.__new__(error)
    failure.args = ("the thing, 3 of 5; do this",)

    def fail(_context):
        raise failure

    monkeypatch.setattr("pulumi_nodepools.cli.looking.connect", fail)
    assert cli.main(["status"]) == error.exit_code
    shown = capsys.readouterr()
    assert shown.err == "error: the thing, 3 of 5; do this\n"
    assert shown.out == ""
