import io
from dataclasses import replace

import pytest
from rich.console import Console

from pulumi_nodepools.cli.screen import Screen, picture
from pulumi_nodepools.drain.model import Diagnosis, NodeProgress, Point, Progress

WALL = 1_000_000.0
NODES = (NodeProgress("n1", "done", 0), NodeProgress("n2", "active", 3), NodeProgress("n3", "waiting", 7))


def progress(nodes=NODES, blocked=()):
    return Progress("batch", 1, len(nodes), 10, list(blocked), "", lambda: nodes, Point(1.0, 0, 14))


def text(title, shown, *, width=100, height=40):
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    console.print(picture(title, shown, console, WALL))
    return console.file.getvalue()


def test_nodes_capacity_and_progress_are_shown():
    shown = text("drain of worker/1", progress())
    assert "drain of worker/1  batch  10 pods left" in shown
    assert "1/3 nodes" in shown
    assert "ready nodes: 14 (0 old, 14 new or staying)" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert lines.index(["n2", "draining", "3"]) < lines.index(["n3", "ready", "7"]) < lines.index(["n1", "empty", "-"])
    assert "ready nodes: 14 of at least 15 (" in text("t", replace(progress(), floor=15))


def test_more_nodes_than_lines_are_counted():
    nodes = tuple(NodeProgress(f"n{index:03}", "waiting", 1, cordoned=index > 9) for index in range(100))
    shown = text("t", progress(nodes), height=15)
    assert "n008" in shown
    assert "n009" not in shown
    assert "and 1 ready, 90 cordoned" in shown
    assert len(shown.splitlines()) == 14, "one line is the cursor's"


def test_long_names_and_messages_keep_the_picture_within_80_columns_and_the_terminal():
    nodes = tuple(
        NodeProgress(f"ip-172-31-128-{n}.us-west-2.compute.internal." + "x" * 60, "active", 12) for n in range(50)
    )
    pod = "pod " + "a" * 63 + "/" + "b" * 150
    entries = [Diagnosis("budget", pod, "n2", "message " * 20, "fix " * 30) for _ in range(3)]
    drawn = text("drain of worker/7.6.1810", progress(nodes, entries), width=80, height=24)
    lines = drawn.splitlines()
    assert (max(map(len, lines)), len(lines)) == (80, 23), "one line is the cursor's"
    shown = [line.split()[1:] for line in lines if line.startswith("ip-172")]
    assert shown == [["draining", "12"]] * 9, "each node keeps to its line"
    assert "and 41 draining" in drawn
    assert "and 2 more are blocked" in drawn


def test_how_long_it_takes_yet_is_told_with_its_basis_once_something_moves():
    nodes = tuple(NodeProgress(f"n{n}", "done" if n < 3 else "waiting", 0) for n in range(9))
    working = replace(progress(nodes), nodes_done=3, working=90.0)
    assert "3/9 nodes  about 3 min left (3 nodes took 1 min 30 s)" in text("t", working)
    assert "about 12 min left (1 node took 1 min 30 s)" in text("t", replace(working, nodes_done=1))
    stuck = Diagnosis("budget", "pod a/b", "n4", "needs 2", "scale it up")
    for untold in (replace(working, nodes_done=0), replace(working, nodes_done=9), replace(working, blocked=[stuck])):
        assert " took " not in text("t", untold)


def test_what_is_blocked_is_named_with_its_fix_and_markup_in_it_is_only_text():
    entries = [Diagnosis("pdb", "[red]pod[/red] a/b", "n2", f"needs {n}", "scale it up") for n in range(7)]
    shown = text("t", progress(blocked=entries))
    assert "[red]pod[/red] a/b on n2: pdb: needs 0" in shown
    assert "scale it up" in shown
    assert "needs 5" not in shown
    assert "and 2 more are blocked" in shown


def test_what_was_shown_last_stays():
    console = Console(file=io.StringIO(), width=100, height=30, force_terminal=True, color_system=None)
    with Screen("drain of worker/1", console) as screen:
        screen(progress())
    assert "n1" in console.file.getvalue().splitlines()[-2]


@pytest.mark.parametrize("width", [80, 120])
def test_each_node_shows_its_version_zone_state_and_what_holds_it(width):
    zone, name = "us-west-2a", "ip-172-31-128-{}.us-west-2.compute.internal"
    nodes = (
        NodeProgress(name.format(1), "active", 3, "7.6.1810", zone, cordoned=True),
        NodeProgress(name.format(2), "waiting", 12, "7.6.1810", zone, cordoned=True),
        NodeProgress(name.format(3), "gone", 0),
        NodeProgress(name.format(4), "stays", 0, "7.7.1908", zone),
        NodeProgress(name.format(5), "stays", 0, "7.7.1908", zone, ready=False),
    )
    held = Diagnosis("replacement-unschedulable", "pod a/b", name.format(1), "no room", "add", since=WALL - 250)
    drawn = text("drain of worker/7.6.1810", progress(nodes, [held]), width=width)
    lines = drawn.splitlines()
    rows = [line for line in lines if line.startswith("ip-172")]
    assert max(map(len, lines)) <= width
    assert [" ".join(row.split()[1:]) for row in rows] == [
        f"7.6.1810 (old) {zone} draining 3 " + ("replacement-unschedulable" if width > 80 else "replacement-unsche…"),
        f"7.6.1810 (old) {zone} cordoned 12",
        "gone -",
        f"7.7.1908 (new) {zone} ready",
        f"7.7.1908 (new) {zone} not ready",
    ]
    assert rows[0].startswith("ip-172-31-1")
    assert f"pod a/b on {name.format(1)}, for 4 min 10 s: replacement-unsch" in " ".join(drawn.split())


def test_a_paused_drain_is_called_so():
    held = Diagnosis("paused", "drain of worker/1", "", "eve asked to pause", "resume it")
    assert "drain of worker/1  paused  10 pods left" in text("drain of worker/1", progress(blocked=[held]))
