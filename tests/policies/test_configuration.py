"""What a stack configures: allow-lists that end, levels, and mistakes in either that are not passed over."""

import ast
import datetime
import json
import subprocess
import sys
from pathlib import Path

import pytest

from policies.rules import RULES, allowances
from policies.rules.configuration import mistakes, schema
from policies.rules.rule import Finding, Level
from tests.policies import test_access, test_groups, test_pools, test_stacks, test_templates
from tests.policies.rule_case import NAMES

FOLDER = Path(__file__).parents[2] / "policies"
TODAY = datetime.date(2026, 2, 28)
BROKEN = Finding("broken.", "urn:pulumi:prod::nodes::x$y::worker-7.6.1810-group")
ENTRY = {"resource": "worker-7.6.1810-group", "reason": "leaves in March", "expires": "2026-03-31"}


def left(*entries: object, finding: Finding = BROKEN) -> list[Finding]:
    return list(allowances.apply([finding], list(entries), TODAY))


@pytest.mark.parametrize("name", ["worker-7.6.1810-group", "worker-*", "worker-7.6.1810-grou?"])
def test_an_entry_excuses_the_resources_that_it_names(name):
    assert left(ENTRY | {"resource": name}) == []
    assert left({"resource": "gpu-*"}, ENTRY | {"resource": name}) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"expires": "2026-02-27"}, "expired on 2026-02-27"),
        ({"expires": "2026-02-30"}, "expires is '2026-02-30'"),
        ({"expires": None}, "expires is None"),
        ({"reason": "  "}, "has no reason"),
    ],
)
def test_an_entry_that_is_over_or_odd_excuses_nothing_and_is_named(changed, words):
    (finding,) = left(ENTRY | changed)
    assert finding.message.startswith("broken. (its entry 'worker-7.6.1810-group'")
    assert words in finding.message
    assert left(ENTRY | changed, ENTRY) == [], "another one may still hold"


def test_an_entry_holds_on_its_last_day():
    assert left(ENTRY | {"expires": TODAY.isoformat()}) == []


@pytest.mark.parametrize("entries", [None, "worker", [None, 3, "worker-*"], [ENTRY | {"resource": "gpu-*"}]])
def test_other_entries_change_nothing(entries):
    assert list(allowances.apply([BROKEN], entries, TODAY)) == [BROKEN]


def test_what_could_not_be_judged_is_never_excused():
    unjudged = Finding("cannot judge", BROKEN.urn, judged=False)
    assert left(ENTRY, finding=unjudged) == [unjudged]


def test_a_key_that_no_rule_has_is_a_mistake():
    rule = NAMES["nodepools-group-launch-hook"]
    assert list(mistakes(rule, {"allow": [], "allGroups": True, "bootBudget": 60})) == []
    (text,) = mistakes(rule, {"bootbudget": 60})
    assert "'bootbudget', which means nothing here; it takes allow, allGroups, bootBudget" in text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_says_why_and_what_to_do(rule):
    assert rule.name.startswith("nodepools-")
    for text in (rule.description, rule.why, rule.fix):
        assert text.endswith(".")
    assert rule.example
    assert rule.link.startswith("https://")
    for name, one in schema(rule).items():
        assert one["description"], name
        assert "default" in one, f"{name}: the engine fills in what is left out"


def test_every_rule_is_the_subject_of_a_table():
    modules = (test_templates, test_groups, test_pools, test_access, test_stacks)
    subjects = {value for module in modules for value in vars(module).values() if isinstance(value, str)}
    # These two have modules of their own.
    own = {"nodepools-launch-template-kernel-arguments", "nodepools-group-drain-hook"}
    assert {rule.name for rule in RULES} - subjects == own


def test_names_are_unique_and_most_rules_stop_a_preview():
    assert len(NAMES) == len(RULES)
    assert sum(rule.level is Level.MANDATORY for rule in RULES) >= 25


@pytest.mark.parametrize("path", sorted((FOLDER / "rules").glob("*.py")), ids=lambda path: path.name)
def test_rules_import_the_standard_library_and_their_neighbours_only(path):
    if path.name == "pack.py":
        return
    tree = ast.parse(path.read_text())
    modules = [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    modules += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    assert {name.partition(".")[0] for name in modules} <= sys.stdlib_module_names


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.name)
def test_configurations_in_the_repository_name_rules_and_keys_that_exist(path):
    for name, given in json.loads(path.read_text()).items():
        level = given if isinstance(given, str) else given.pop("enforcementLevel", "mandatory")
        assert level in {"mandatory", "advisory", "disabled"}
        if not isinstance(given, str):
            assert list(mistakes(NAMES[name], given)) == []


def test_the_documentation_is_current():
    command = [sys.executable, str(FOLDER / "document.py"), "--check", str(FOLDER.parent / "docs" / "policies.md")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
