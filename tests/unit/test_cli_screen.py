import io

from rich.console import Console

from pulumi_nodepools.cli import watching
from pulumi_nodepools.cli.screen import Screen, picture
from pulumi_nodepools.drain.model import Diagnosis, NodeProgress, Point, Progress
from pulumi_nodepools.errors import ClusterUnreachableError

NODES = (NodeProgress("n1", "done", 0), NodeProgress("n2", "active", 3), NodeProgress("n3", "waiting", 7))


def progress(nodes=NODES, blocked=()):
    return Progress("batch", 1, len(nodes), 10, list(blocked), "", nodes, Point(1.0, 0, 14))


def text(drawn, width=100):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(drawn)
    return console.file.getvalue()


def test_nodes_capacity_and_progress_are_shown():
    shown = text(picture("drain of worker/1", progress(), 20))
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
    shown = text(picture("t", progress(nodes), 10))
    assert "n009" in shown
    assert "n010" not in shown
    assert "and 90 waiting" in shown


def test_what_is_blocked_is_named_with_its_fix_and_markup_in_it_is_only_text():
    entries = [Diagnosis("pdb", "[red]pod[/red] a/b", "n2", f"needs {n}", "scale it up") for n in range(7)]
    shown = text(picture("t", progress(blocked=entries), 20))
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
