import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from pulumi_nodepools import reporting
from pulumi_nodepools.cli import main
from pulumi_nodepools.errors import ConfigError
from tests.unit.reporting.report_case import FAILURE, blocked, demo, drained, soak

SCHEMA = Path(__file__).parents[3] / "docs" / "report.schema.json"


@pytest.mark.parametrize("body", [drained(), blocked(), demo(drained()), soak(), FAILURE])
def test_reports_fit_the_published_schema_which_names_everything_in_them(body):
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(body)
    read = reporting.read("r.json", json.dumps(body).encode())
    assert _without_defaults(json.loads(msgspec.json.encode(read)), body) == body, (
        "a field is missing in reporting/document.py; add it, then: nodepools report --schema > docs/report.schema.json"
    )


def _without_defaults(read, body):
    """Fields that may be left out are written only where there is something to say."""
    if not isinstance(read, dict):
        return read
    optional = {"cluster", "pool", "version", "outcome", "error"} if read.get("kind") == "drain" else set()
    kept = {key: value for key, value in read.items() if key in body or key not in optional}
    if "drains" in kept:
        kept["drains"] = [_without_defaults(*pair) for pair in zip(kept["drains"], body["drains"], strict=True)]
    return kept


def test_published_schema_is_the_readers_own(capsys):
    assert main(["report", "--schema"]) == 0
    assert capsys.readouterr().out == SCHEMA.read_text(), "nodepools report --schema > docs/report.schema.json"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda body: body["run"].update(seconds="long"), "$.run.seconds"),
        (lambda body: body.pop("nodes"), "`nodes`"),
        (lambda body: body.update(schemaVersion=2), "$.schemaVersion"),
        (lambda body: body.update(kind="status"), "'status'"),
        (lambda body: body.pop("kind"), "`kind`"),
    ],
)
def test_what_is_no_report_is_refused_with_the_place(change, told):
    body = drained()
    change(body)
    with pytest.raises(ConfigError) as error:
        reporting.read("r.json", json.dumps(body).encode())
    assert told in str(error.value)
    assert "r.json" in str(error.value)


def test_capacity_counts_ready_nodes_that_go_and_that_stay():
    capacity = drained()["capacity"]
    assert capacity["floor"] == 2
    assert capacity["points"][0] == {"at": 0.0, "blue": 0, "green": 1}


def test_evictions_have_their_times():
    (pod,) = drained()["pods"]
    assert pod["evict"] == {"start": 0.0, "end": 0.0}
    (left,) = blocked()["pods"]
    assert left["evict"] == {"start": 0.0, "end": None}
    assert left["outcome"] == "left"
