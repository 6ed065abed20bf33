import json

from pulumi_nodepools import reporting
from sandbox import demo
from sandbox.claims import Claim
from sandbox.recorder import Ledger
from sandbox.story.record import recorded
from tests.unit.reporting.report_case import drained, soak


def ledger():
    seen = Ledger("worker")
    for name, version, moment in (("a", "old", 100.0), ("b", "old", 100.0), ("c", "new", 102.0)):
        labels = {"nodepools.dev/pool": "worker", "nodepools.dev/version": version}
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        seen.saw_node({"metadata": {"name": name, "labels": labels}, "status": ready}, False, moment)
    budget = {"metadata": {"namespace": "shop", "name": "web"}, "status": {"currentHealthy": 1, "desiredHealthy": 2}}
    seen.saw_budget(budget, False, 103.0)
    return seen


def test_old_nodes_are_blue_and_others_green_in_seconds_since_the_record_began():
    body = recorded(ledger(), 99.0, "old", {"shop/web"})
    assert body["capacity"] == {
        "floor": 2,
        "points": [{"at": 1.0, "blue": 2, "green": 0}, {"at": 3.0, "blue": 2, "green": 1}],
    }
    (violated,) = body["interruptions"]
    assert (violated["began"], violated["ended"]) == (4.0, None)
    assert not violated["predicted"], "a violated budget is never predicted, whatever its name"


def test_demo_leaves_a_report_that_fits_its_schema_and_its_page(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "OUTPUT", tmp_path)
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "drain-worker.json").write_text(json.dumps(drained()))
    (tmp_path / "hooks" / "soak-worker.json").write_text(json.dumps(soak()))
    story = demo.Story(phases={"up": 1.0}, verdicts=[Claim("held", True, "1 of 1")])
    story.facts = {
        "previewSeconds": 1.0,
        "upSeconds": 2.0,
        "recordedSeconds": 5.0,
        "recorderGaps": [],
        "ciRuns": {"unpatched": (3, 1), "patched": (3, 0)},
        "soaks": [soak(line="found"), soak()],
        **recorded(ledger(), 99.0, "old", set()),
    }
    demo._write(story)
    read = reporting.read("report.json", (tmp_path / "report.json").read_bytes())
    assert isinstance(read, reporting.Demo)
    assert len(read.drains) == 1
    assert [one.outcome for one in read.soaks] == ["refused", "passed"]
    assert (tmp_path / "report.html").exists()
