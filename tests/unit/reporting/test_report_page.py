import json
import re
from html.parser import HTMLParser
from xml.etree.ElementTree import Element, fromstring

import msgspec
import pytest

from pulumi_nodepools import reporting
from pulumi_nodepools.cli import main
from pulumi_nodepools.reporting.document import Capacity, CapacityPoint
from pulumi_nodepools.reporting.figures import evictions_per_second, lowest, waits
from pulumi_nodepools.reporting.markup import el, html
from pulumi_nodepools.soak.evidence import Runs
from pulumi_nodepools.units import duration
from tests.unit.reporting.report_case import FAILURE, SCRIPT, blocked, demo, drained, soak


def document(body):
    return reporting.read("r.json", json.dumps(body).encode())


def page(body):
    return reporting.page(document(body))


@pytest.mark.parametrize("body", [drained(), blocked(), demo(blocked()), soak(line="kmem"), FAILURE])
def test_nothing_is_fetched_and_nothing_runs(body):
    text = page(body)
    assert "http-equiv" in text
    assert not re.search(r"(?:src|href)\s*=|url\(|@import|<script|https?://", text)


def test_everything_from_a_cluster_is_escaped():
    hostile = json.loads(json.dumps(blocked()).replace('"old-1"', json.dumps(SCRIPT)).replace("ns/a", SCRIPT[:30]))
    for body in (hostile, demo(hostile), soak(line=SCRIPT), FAILURE | {"error": SCRIPT}):
        text = page(body)
        assert "<script" not in text
        assert "<img" not in text
        assert "&lt;script" in text


def test_attributes_cannot_be_broken_out_of():
    text = html(el("p", title='"><script>'))
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, attributes))
    parser.feed(text)
    assert tags == [("p", [("title", '"><script>')])]


def test_characters_that_turn_or_end_text_are_replaced():
    assert (
        el("p", "a\u202eb\x00c\x1b[31m").text
        == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}[31m"
    )


def test_every_node_has_its_bars():
    text = page(drained())
    svg = next(one for one in _svgs(text) if one.get("aria-label") == "What happened to each node over time")
    assert [row.text for row in svg.iter("text") if row.get("class") == "row"] == ["old-1", "old-2"]
    assert len([bar for bar in svg.iter("rect") if bar.get("class") == "done"]) == 2


def test_a_blocked_drain_shows_why_and_what_to_do():
    body = blocked()
    text = page(body)
    entry = next(one for one in body["diagnosis"] if one["reason"] != "waiting")
    assert entry["reason"] in text
    assert "what to do" in text
    assert 'class="stuck"' in text


def test_rates_and_waits_are_those_of_the_pods():
    found = document(drained())
    width, rates = evictions_per_second(found)
    assert sum(rates) * width == 1
    (wait,) = waits(document(blocked()))
    assert (wait.budget, wait.pods, wait.left, wait.longest) == ("ns/web", 1, 1, 30.0)


def test_lowest_capacity_is_over_all_nodes():
    points = [CapacityPoint(at=0.0, blue=3, green=0), CapacityPoint(at=1.0, blue=1, green=1)]
    assert lowest(Capacity(floor=3, points=points)) == 2


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (18.52, "18.5 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (3600, "1 h")]
)
def test_durations_are_said_as_people_do(seconds, text):
    assert duration(seconds) == text


def test_a_thousand_nodes_fit_on_one_picture():
    found = document(drained())
    node = found.nodes["old-1"]
    many = msgspec.structs.replace(found, nodes={f"n{index}": node for index in range(1000)})
    svg = next(one for one in _svgs(reporting.page(many)) if (one.get("aria-label") or "").startswith("What happened"))
    assert float(svg.get("viewBox").split()[3]) < 3100


def test_failure_rates_of_old_nodes_and_canary_are_two_intervals_on_one_axis():
    body = soak(before=Runs(18, 7), after=Runs(18, 0))
    (svg,) = _svgs(page(body))
    rows = [row.text for row in svg.iter("text") if row.get("class") == "row"]
    assert rows == ["old nodes: 7 of 18 failed", "canary: 0 of 18 failed"]
    ticks = {tick.text: float(tick.get("x")) for tick in svg.iter("text") if tick.get("class") == "tick"}
    assert [*ticks][0::7] == ["0 %", "70 %"]
    bars = {bar.get("class"): bar for bar in svg.iter("rect")}
    estimates = [float(line.get("x1")) for line in svg.iter("line") if line.get("class") == "estimate"]
    for name, estimate in zip(("before", "after"), estimates, strict=True):
        rate = body["comparison"][name]["rate"]
        begin, wide = float(bars[name].get("x")), float(bars[name].get("width"))
        places = [
            (place - ticks["0 %"]) / (ticks["70 %"] - ticks["0 %"]) * 0.7 for place in (begin, estimate, begin + wide)
        ]
        assert places == pytest.approx([rate["low"], rate["value"], rate["high"]], abs=1e-4)


def test_a_difference_that_may_be_chance_is_not_called_one():
    assert "on the canary was lower by 38.9 %" in page(soak(before=Runs(18, 7), after=Runs(18, 0)))
    assert "cannot be told from that on old nodes" in page(soak(before=Runs(18, 7), after=Runs(18, 6)))


def test_a_soak_without_any_run_has_no_picture():
    text = page(soak(line="no run has ended", before=Runs(), after=Runs()))
    assert "no run has ended" in text
    assert not _svgs(text)


def test_report_writes_a_page_beside_its_file(tmp_path, capsys):
    (tmp_path / "r.json").write_text(json.dumps(drained()))
    assert main(["report", str(tmp_path / "r.json")]) == 0
    assert (tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")
    assert str(tmp_path / "r.html") in capsys.readouterr().err


def test_a_file_that_is_not_there_is_one_message(tmp_path, capsys):
    assert main(["report", str(tmp_path / "none.json")]) == 1
    assert "none.json: No such file or directory; nothing was written" in capsys.readouterr().err


def _svgs(text) -> list[Element]:
    return [fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]
