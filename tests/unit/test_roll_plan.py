"""What a previewed update means for workloads, from the preview alone and with what the cluster shows."""

import json

import pytest

from pulumi_nodepools.cli import main
from pulumi_nodepools.drain.model import Diagnosis
from pulumi_nodepools.errors import ClusterUnreachableError
from pulumi_nodepools.roll_plan import Drain, Look, Question, Roll, RollPlan, make
from pulumi_nodepools.roll_text import escaped, markdown
from pulumi_nodepools.update_plan import read
from tests.unit.plan_case import NEW, OLD, group, hook, pool, replacement, written

BUDGET = Diagnosis("pdb-impossible", "budget shop/cart", "", "it allows nothing", "allow one")
KNOWN = Diagnosis("other-actor", "actor karpenter", "", "it runs in this cluster", "let it be")


def offline(*_: object):
    raise ClusterUnreachableError("https://api.example.com does not answer")


def planned(tmp_path, *steps) -> RollPlan:
    return make(read(written(tmp_path, *steps)), offline)


def looked(*blockers: Diagnosis, interruptions=(), notes=()) -> RollPlan:
    versions = [{"version": OLD, "change": "removed", "nodesBefore": 14, "nodesAfter": 0}]
    found = Look(53, interruptions, blockers, notes)
    return RollPlan([Roll("worker", NEW, versions, [Drain(OLD, 14, 1, found)])])


def test_a_replacement_is_told_from_the_preview_alone(tmp_path):
    made = planned(tmp_path, *replacement(14, 15))
    (roll,) = made.rolls
    assert roll.active == NEW
    assert [(one["version"], one["change"], one["nodesBefore"], one["nodesAfter"]) for one in roll.versions] == [
        (OLD, "removed", 14, 0),
        (NEW, "created", 0, 15),
    ]
    (drain,) = roll.drains
    assert (drain.version, drain.nodes, drain.batch, drain.batches, drain.look) == (OLD, 14, 1, 14, None)
    assert made.unreachable == "https://api.example.com does not answer"


def test_batches_are_those_of_the_hook_that_drains(tmp_path):
    settings = {"pool": "worker", "version": OLD, "drain": {"batchSize": "25%"}}
    steps = [one for one in replacement() if one != hook("delete", OLD)]
    (drain,) = planned(tmp_path, *steps, hook("delete", OLD, inputs=settings)).rolls[0].drains
    assert (drain.batch, drain.batches) == (3, 5)


def test_an_empty_version_has_no_batches(tmp_path):
    (drain,) = planned(tmp_path, *replacement(0, 0)).rolls[0].drains
    assert (drain.nodes, drain.batches) == (0, 0)


def test_the_cluster_is_not_asked_when_nothing_is_drained(tmp_path):
    made = planned(tmp_path, pool(), group("same", NEW, 14), hook("same", NEW))
    assert made.unreachable == ""
    assert "Nothing is drained." in markdown(made)
    assert markdown(RollPlan([])) == "### Node pools\n\nNo node pool is in this stack.\n"


def test_a_plan_without_the_cluster_says_what_it_does_not_know(tmp_path):
    made = planned(tmp_path, *replacement())
    text = markdown(made)
    assert "**The cluster cannot be reached from here**, so pods, interruptions and blockers are not known" in text
    assert "14 nodes in 14 batches of at most 1." in text
    assert "none" not in text, "what is not known is not none"
    document = made.to_json()
    assert document["cluster"] == {"reachable": False, "why": "https://api.example.com does not answer"}
    assert document["pools"][0]["drains"][0]["pods"] is None


def test_interruptions_and_blockers_are_named():
    text = markdown(looked(BUDGET, interruptions=["Deployment shop/reports"], notes=[KNOWN]))
    assert "in 14 batches of at most 1; 53 pods move." in text
    assert "Blockers:\n\n- budget shop/cart: pdb-impossible: it allows nothing. allow one" in text
    assert "Predicted interruptions:\n\n- Deployment shop/reports" in text
    assert "Worth knowing:\n\n- actor karpenter" in text
    document = looked(BUDGET, interruptions=["Deployment shop/reports"]).to_json()
    assert document["outcome"] == "blocked"
    assert [one["object"] for one in document["diagnosis"]] == ["budget shop/cart"]
    assert document["pools"][0]["drains"][0]["predictedInterruptions"] == ["Deployment shop/reports"]


def test_notes_block_nothing():
    assert looked(notes=[KNOWN]).to_json()["outcome"] == "ok"
    assert "Blockers: none." in markdown(looked(notes=[KNOWN]))


def test_the_cluster_is_asked_about_what_goes_with_the_settings_that_it_goes_by(tmp_path):
    asked: list[Question] = []

    def look(question: Question) -> Look:
        asked.append(question)
        return Look(3, [], [], [])

    known = {"pool": "worker", "version": OLD, "clusterUid": "uid-1", "drain": {"batchSize": "25%"}}
    steps = [one for one in replacement() if one != hook("delete", OLD)]
    made = make(read(written(tmp_path, *steps, hook("delete", OLD, inputs=known))), look)
    assert [(one.pool, one.version, one.cluster_uid) for one in asked] == [("worker", OLD, "uid-1")]
    assert asked[0].settings.batch_size == "25%"
    assert made.to_json()["pools"][0]["drains"][0]["pods"] == 3


def test_long_lists_are_cut_with_their_number():
    text = markdown(looked(interruptions=[f"Deployment shop/{number:03}" for number in range(25)]))
    assert "- … and 5 more" in text
    assert "shop/024" not in text


@pytest.mark.parametrize("text", ["<img src=x>", "[a](javascript:x)", "a | b", "`rm`", "@everyone", "## x", "a\n\n# b"])
def test_text_from_the_cluster_is_no_markup(text):
    shown = escaped(text)
    assert "\n" not in shown
    assert "@e" not in shown
    for mark in "<[|`#":
        assert shown.count(mark) == shown.count(f"\\{mark}")


def test_the_command_needs_a_preview_and_no_cluster(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    path = written(tmp_path, *replacement())
    assert main(["plan", "--preview", str(path), "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["cluster"]["reachable"] is False
    assert main(["plan", "--preview", str(path)]) == 0
    assert "cannot be reached" in capsys.readouterr().out
    assert main(["plan"]) == 1
    assert main(["plan", "--preview", str(tmp_path / "absent.json")]) == 1
