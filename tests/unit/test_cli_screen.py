import io
from dataclasses import replace

from rich.console import Console

from pulumi_nodepools.cli import watching
from pulumi_nodepools.cli.screen import Screen, picture
from pulumi_nodepools.drain.model import Diagnosis, NodeProgress, Point, Progress
from pulumi_nodepools.errors import ClusterUnreachableError

NODES = (NodeProgress("n1", "done", 0), NodeProgress("n2", "active", 3), NodeProgress("n3", "waiting", 7))


def progress(nodes=NODES, blocked=()):
    return Progress("batch", 1, len(nodes), 10, list(blocked), "", lambda: nodes, Point(1.0, 0, 14))


def text(title, shown, *, width=100, height=40):
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    console.print(picture(title, shown, console))
    return console.file.getvalue()


def test_nodes_capacity_and_progress_are_shown():
    shown = text("drain of worker/1", progress())
    assert "drain of worker/1  batch  10 pods left" in shown
    assert "1/3 nodes" in shown
    assert "ready nodes: 0 old, 14 new or staying, 14 in all" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert ["n2", "evicting", "3"] in lines
    assert (
        lines.index(["n2", "evicting", "3"]) < lines.index(["n3", "waiting", "7"]) < lines.index(["n1", "empty", "-"])
    )


def test_more_nodes_than_lines_are_counted():
    nodes = tuple(NodeProgress(f"n{index:03}", "waiting", 1) for index in range(100))
    shown = text("t", progress(nodes), height=15)
    assert "n008" in shown
    assert "n009" not in shown
    assert "and 91 waiting" in shown
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
    assert shown == [["evicting", "12"]] * 9, "each node keeps to its line"
    assert "and 41 evicting" in drawn
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


def test_watching_prints_only_changes_and_survives_a_silent_cluster(monkeypatch, capsys):
    answers = iter(["a", "a", ClusterUnreachableError("no answer"), "b"])

    def collect(_client):
        answer = next(answers, None)
        if answer is None:
            raise KeyboardInterrupt
        if isinstance(answer, Exception):
            raise answer
        return {"table": answer}

    monkeypatch.setattr(watching, "collect", collect)
    monkeypatch.setattr(watching, "table", lambda found: found["table"])
    last = watching.follow(None, wait=lambda _seconds: None)
    assert last == {"table": "b"}
    assert capsys.readouterr().out == "a\n\na\n\nas it was before: no answer\n\nb\n"
