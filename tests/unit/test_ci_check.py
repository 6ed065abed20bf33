"""What a pipeline refuses although no policy sees it: flags in any spelling, and plans that destroy."""

import json

import pytest

from pulumi_nodepools import ci_check
from pulumi_nodepools.ci_check import Limits, of_environment, of_plan, of_text
from pulumi_nodepools.cli import main
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.update_plan import read
from tests.unit.plan_case import NEW, OLD, group, hook, pool, replacement, step, written


def refused(tmp_path, *steps, **limits) -> list[str]:
    return [one.check for one in of_plan(read(written(tmp_path, *steps)), Limits(**limits))]


@pytest.mark.parametrize(
    "line",
    [
        "pulumi up --yes --continue-on-error",
        "      run: pulumi up --continue-on-error=true",
        '  PULUMI_CONTINUE_ON_ERROR: "true"',
        "export PULUMI_OPTION_CONTINUE_ON_ERROR=1",
        "env: {PULUMI_OPTION_CONTINUE_ON_ERROR: True}",
        "stack.up(continue_on_error=True)",
    ],
)
def test_every_way_to_go_on_after_an_error_is_found_with_its_line(line):
    (found,) = of_text("deploy.yml", f"jobs:\n{line}\n")
    assert found.object == "deploy.yml:2"
    assert found.check == "continue-on-error"


@pytest.mark.parametrize(
    "line",
    [
        "# never use --continue-on-error here",
        "pulumi up  # not --continue-on-error",
        "continue-on-error: true",  # a workflow step's own key
        "pulumi up --continue-on-error=false",
        'PULUMI_CONTINUE_ON_ERROR: "false"',
        "PULUMI_CONTINUE_ON_ERROR=0",
    ],
)
def test_what_is_not_that_is_left_alone(line):
    assert list(of_text("deploy.yml", line)) == []


@pytest.mark.parametrize(("value", "count"), [("true", 1), ("1", 1), ("false", 0), ("", 0), ("0", 0)])
def test_the_environment_counts_as_pulumi_reads_it(value, count):
    assert len(list(of_environment(dict.fromkeys(ci_check.VARIABLES, value)))) == 2 * count


def test_a_plain_replacement_passes(tmp_path):
    assert refused(tmp_path, *replacement()) == []


def test_versions_that_stay_count_as_nodes(tmp_path):
    kept = [group("same", "1.0.0", 3), hook("same", "1.0.0")]
    assert refused(tmp_path, *replacement(14, 11), *kept) == ["smaller"]
    assert refused(tmp_path, *replacement(14, 14), *kept) == []


def test_a_smaller_replacement_is_refused_unless_it_is_meant(tmp_path):
    assert refused(tmp_path, *replacement(14, 13)) == ["smaller"]
    assert refused(tmp_path, *replacement(14, 13), removable=frozenset({"worker"})) == []


def test_deleting_what_the_program_makes_active_is_refused(tmp_path):
    steps = [pool(NEW), group("same", OLD, 14), hook("delete", NEW), group("delete", NEW, 14)]
    assert "active-deleted" in refused(tmp_path, *steps)


def test_a_pool_that_goes_must_be_meant(tmp_path):
    steps = [pool(op="delete"), hook("delete", NEW), group("delete", NEW, 14)]
    assert refused(tmp_path, *steps) == ["pool-removed"]
    assert refused(tmp_path, *steps, removable=frozenset({"worker"})) == []
    assert refused(tmp_path, *steps, removable=frozenset({"gpu"})) == ["pool-removed"]


def test_a_group_is_never_replaced_in_place(tmp_path):
    assert refused(tmp_path, pool(), group("replace", NEW, 14)) == ["group-replaced"]


def test_a_group_that_goes_without_its_hook_is_refused(tmp_path):
    undrained = [one for one in replacement() if one != hook("delete", OLD)]
    assert refused(tmp_path, *undrained) == ["undrained"]
    assert refused(tmp_path, *undrained, hook("same", OLD)) == ["undrained"]


def test_a_hook_that_is_skipped_drains_nothing(tmp_path):
    cluster = step("delete", "aws:eks/cluster:Cluster", "prod")
    skipped = hook("delete", OLD, deletedWith=cluster["urn"])
    steps = [one for one in replacement() if one != hook("delete", OLD)]
    assert refused(tmp_path, *steps, skipped, cluster) == ["undrained"]
    assert refused(tmp_path, *steps, skipped) == [], "its cluster stays, so it is not skipped"


def test_one_update_drains_no_more_than_its_share(tmp_path):
    other = [pool(NEW, "gpu"), group("same", NEW, 6, "gpu"), hook("same", NEW, "gpu")]
    assert refused(tmp_path, *replacement(), *other, max_drain=0.7) == []
    assert refused(tmp_path, *replacement(), *other, max_drain=0.69) == ["drain-share"]


def test_what_must_be_protected_is_named_by_type(tmp_path):
    kind = "aws:eks/cluster:Cluster"
    limits = {"protected": frozenset({kind})}
    assert refused(tmp_path, step("same", kind, "prod", protect=True), **limits) == []
    assert refused(tmp_path, step("same", kind, "prod"), **limits) == ["unprotected"]
    assert refused(tmp_path, step("create", kind, "prod", protect=False), **limits) == ["unprotected"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "is not what `pulumi preview --json --show-sames` writes"),
        ("[]", "is not what"),
        ('{"steps": [{"op": "create"}]}', "is not what"),
        ('{"steps": [], "diagnostics": [{"message": "no credentials\\n"}]}', "did not come to its end; no credentials"),
        ('{"steps": [], "changeSummary": {"same": 3}}', "--show-sames"),
    ],
)
def test_a_preview_that_cannot_be_used_is_an_error_not_a_pass(tmp_path, text, words):
    path = tmp_path / "preview.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="preview") as failure:
        read(path)
    assert words in str(failure.value)


def test_the_command_answers_with_code_and_document(tmp_path, capsys, monkeypatch):
    for variable in ci_check.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    good = written(tmp_path, *replacement())
    assert main(["ci-check", "--preview", str(good)]) == 0
    capsys.readouterr()
    script = tmp_path / "deploy.sh"
    script.write_text("pulumi up --continue-on-error\n")
    assert main(["ci-check", str(script), "--preview", str(good), "--output", "json"]) == 2
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["outcome"] == "blocked"
    assert [one["object"] for one in document["diagnosis"]] == [f"{script}:1"]
    assert "deploy.sh:1" in captured.err


@pytest.mark.parametrize(
    "arguments",
    [["--preview", "absent.json"], ["absent.sh"], ["--max-drain", "half"], ["--max-drain", "120%"], ["--bogus"]],
)
def test_usage_errors_end_with_1(arguments, capsys):
    assert main(["ci-check", *arguments]) == 1
    assert "error" in capsys.readouterr().err
