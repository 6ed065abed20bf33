"""The documentation against the code: generated pages are current, what it shows can be read and exists."""

import json
import re
import runpy
import subprocess
from pathlib import Path

import pytest
import yaml

from pulumi_nodepools import cli
from pulumi_nodepools.config import SizeConfig

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def test_reference_is_what_the_models_say():
    written = runpy.run_path(str(ROOT / "docs" / "reference.py"))["text"]()
    assert written == (ROOT / "docs" / "reference.md").read_text(), "make docs-reference"


def test_a_field_without_a_description_has_no_place_in_the_reference(monkeypatch):
    monkeypatch.setattr(SizeConfig.model_fields["max"], "description", None)
    with pytest.raises(SystemExit, match=r"SizeConfig\.max has no description"):
        runpy.run_path(str(ROOT / "docs" / "reference.py"))["text"]()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_blocks_are_what_they_claim_to_be(page):
    for _, language, code in BLOCK.findall(page.read_text()):
        match language:
            case "yaml":
                list(yaml.safe_load_all(code))
            case "json":
                json.loads(code)
            case "python":
                compile(code, page.name, "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_targets_that_are_shown_exist(page):
    text = page.read_text()
    commands = set(re.findall(r"(?:^\$ |`)nodepools ([a-z][a-z-]+)", text, re.MULTILINE))
    assert commands <= set(cli.typer.main.get_command(cli.app).commands)
    targets = set(re.findall(r"(?:^\$ |`)make ([a-z0-9-]+)", text, re.MULTILINE))
    assert targets <= set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_make_help_lists_every_target_that_has_a_line_as_it_is_to_be_typed():
    told = set(re.findall(r"^([^\s:.]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in shown.splitlines()} == told
    assert 'eval "$(make -s sandbox-up)"' in shown


def test_what_a_shell_evaluates_of_a_sandbox_has_no_words_for_people():
    planned = subprocess.run(["make", "-nB", "sandbox-up"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    told = [line for line in planned.splitlines() if "echo " in line]
    assert told
    assert all(">&2" in line for line in told)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_that_are_named_with_their_path_exist(page):
    for file, test in re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", page.read_text()):
        assert f"def {test}(" in (ROOT / file).read_text(), f"{file}::{test}"


def test_relative_links_lead_somewhere():
    for page in [*PAGES, *ROOT.glob("docs/adr/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
