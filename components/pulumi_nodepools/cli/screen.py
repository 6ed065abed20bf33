"""A drain on a terminal: nodes, capacity, what is blocked and how far it is, drawn anew with each piece of news.

Where standard error is no terminal, plain lines are told instead (cli/draining.py).
"""

from collections import Counter
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pulumi_nodepools.drain.model import NodeProgress, Progress
from pulumi_nodepools.drain.pace import time_left

_BLOCKED = 5
_LEAST = 3
"""Nodes that are shown even where the rest fills the terminal."""
_OTHER_COLUMNS = 22
"""What the table of nodes needs beside their names; rich would take it from these columns first."""
_STYLES = {"done": "green", "gone": "green", "active": "blue", "skipped": "red"}
_WORDS = {"waiting": "waiting", "active": "evicting", "done": "empty", "gone": "gone", "skipped": "left out"}


class Screen:
    """Listens to a drain and shows it, for the block; what was shown last stays."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        self._title = title
        self._console = console or Console(stderr=True)
        self._live = Live(Text(f"{title}: reading the cluster"), console=self._console, auto_refresh=False)

    def __enter__(self) -> "Screen":
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, progress: Progress) -> None:
        self._live.update(picture(self._title, progress, self._console), refresh=True)


def picture(title: str, progress: Progress, console: Console) -> RenderableType:
    """One picture of a drain, as much as fits. Text from the cluster is text: no markup is read in it."""
    head = Group(*_head(title, progress))
    # Two lines besides: the table's heads, and the cursor's below the picture.
    room = console.height - len(console.render_lines(head)) - 2
    for count in range(_BLOCKED, 0, -1):
        blocked = Group(*_blocked(progress, count))
        rows = room - len(console.render_lines(blocked))
        if rows >= _LEAST:
            break
    return Group(head, _nodes(progress.nodes(), max(rows, _LEAST), console.width), blocked)


def _head(title: str, progress: Progress) -> list[RenderableType]:
    first = Text(title, style="bold").append(f"  {progress.phase}  {progress.pods_left} pods left", style="not bold")
    parts: list[RenderableType] = [first, _bar(progress)]
    if progress.capacity is not None:
        now = progress.capacity
        parts.append(Text(f"ready nodes: {now.blue} old, {now.green} new or staying, {now.blue + now.green} in all"))
    return parts


def _bar(progress: Progress) -> Table:
    bar = Table.grid(padding=(0, 2))
    done = ProgressBar(total=max(progress.nodes_total, 1), completed=progress.nodes_done, width=20)
    bar.add_row(done, f"{progress.nodes_done}/{progress.nodes_total} nodes", time_left(progress))
    return bar


def _nodes(nodes: tuple[NodeProgress, ...], rows: int, width: int) -> Table:
    order = {"active": 0, "skipped": 1, "waiting": 2}
    chosen = sorted(nodes, key=lambda node: (order.get(node.phase, 3), node.name))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("NODE", no_wrap=True, overflow="ellipsis", max_width=width - _OTHER_COLUMNS)
    table.add_column("STATE")
    table.add_column("PODS LEFT", justify="right")
    shown = rows if len(chosen) <= rows else rows - 1
    for node in chosen[:shown]:
        word = Text(_WORDS[node.phase], style=_STYLES.get(node.phase, ""))
        table.add_row(Text(node.name), word, str(node.pods_left) if node.pods_left else "-")
    if len(chosen) > shown:
        rest = Counter(_WORDS[node.phase] for node in chosen[shown:])
        table.add_row(Text("and " + ", ".join(f"{count} {word}" for word, count in rest.items()), style="dim"))
    return table


def _blocked(progress: Progress, count: int) -> list[Text]:
    """The first `count` of what does not move, each with its fix."""
    shown = [
        Text(f"{one.place}: {one.reason}: {one.message}", style="yellow").append(f"\n  {one.fix}", style="not yellow")
        for one in progress.blocked[:count]
    ]
    more = len(progress.blocked) - count
    return [*shown, Text(f"and {more} more are blocked", style="dim")] if more > 0 else shown
