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

_BLOCKED = 5
_STYLES = {"done": "green", "gone": "green", "active": "blue", "skipped": "red"}
_WORDS = {"waiting": "waiting", "active": "evicting", "done": "empty", "gone": "gone", "skipped": "left out"}
_OTHER_LINES = 14
"""Lines of a terminal that the table of nodes must leave to the rest."""


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
        rows = max(3, self._console.height - _OTHER_LINES)
        self._live.update(picture(self._title, progress, rows), refresh=True)


def picture(title: str, progress: Progress, rows: int) -> RenderableType:
    """One picture of a drain with at most `rows` nodes. Text from the cluster is text: no markup is read in it."""
    parts: list[RenderableType] = [_head(title, progress), _bar(progress)]
    if progress.capacity is not None:
        now = progress.capacity
        parts.append(Text(f"ready nodes: {now.blue} old, {now.green} new or staying, {now.blue + now.green} in all"))
    parts.append(_nodes(progress.nodes, rows))
    parts.extend(_blocked(progress))
    return Group(*parts)


def _head(title: str, progress: Progress) -> Text:
    head = Text(title, style="bold")
    return head.append(f"  {progress.phase}  {progress.pods_left} pods left", style="not bold")


def _bar(progress: Progress) -> Table:
    bar = Table.grid(padding=(0, 2))
    done = ProgressBar(total=max(progress.nodes_total, 1), completed=progress.nodes_done, width=40)
    bar.add_row(done, f"{progress.nodes_done}/{progress.nodes_total} nodes")
    return bar


def _nodes(nodes: tuple[NodeProgress, ...], rows: int) -> Table:
    order = {"active": 0, "skipped": 1, "waiting": 2}
    chosen = sorted(nodes, key=lambda node: (order.get(node.phase, 3), node.name))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("NODE")
    table.add_column("STATE")
    table.add_column("PODS LEFT", justify="right")
    for node in chosen[:rows]:
        word = Text(_WORDS[node.phase], style=_STYLES.get(node.phase, ""))
        table.add_row(Text(node.name), word, str(node.pods_left) if node.pods_left else "-")
    if len(chosen) > rows:
        rest = Counter(_WORDS[node.phase] for node in chosen[rows:])
        table.add_row(Text("and " + ", ".join(f"{count} {word}" for word, count in rest.items()), style="dim"))
    return table


def _blocked(progress: Progress) -> list[Text]:
    shown = [
        Text(f"{one.object} on {one.node or 'no node'}: {one.reason}: {one.message}", style="yellow").append(
            f"\n  {one.fix}", style="not yellow"
        )
        for one in progress.blocked[:_BLOCKED]
    ]
    more = len(progress.blocked) - _BLOCKED
    return [*shown, Text(f"and {more} more are blocked", style="dim")] if more > 0 else shown
