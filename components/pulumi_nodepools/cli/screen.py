"""A drain on a terminal: nodes, capacity, what is blocked and how far it is, drawn anew with each piece of news.

The same picture for `drain`, which knows its own drain, and for `status --watch` (cli/watching.py), which looks at that
of another process. Where there is no terminal, plain lines are told instead.
"""

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pulumi_nodepools.drain.model import Diagnosis, NodeProgress, Progress
from pulumi_nodepools.drain.pace import time_left
from pulumi_nodepools.units import duration

_BLOCKED = 5
_LEAST = 3
"""Nodes that are shown even where the rest fills the terminal."""
_HEADS = ("NODE", "VERSION", "ZONE", "STATE", "PODS", "BLOCKED BY")
_GAP = 2
_SHORTEST = 12
"""Letters of a node's name that are always shown."""
_WORDS = {"active": "draining", "done": "empty", "gone": "gone", "skipped": "left out"}
_STYLES = {"empty": "green", "gone": "green", "draining": "blue", "left out": "red", "not ready": "red"}
_ORDER = {"active": 0, "skipped": 1, "waiting": 2, "done": 3, "gone": 4, "stays": 5, "idle": 6}
_SIDES = {"stays": " (new)", "idle": ""}


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
        self._live.update(picture(self._title, progress, self._console, time.time()), refresh=True)


def picture(title: str, progress: Progress, console: Console, wall: float, used: int = 0) -> RenderableType:
    """One picture of a drain, as much as fits beside `used` lines. Text from the cluster is text: no markup is read."""
    head = Group(*_head(title, progress))
    # Two lines besides: the table's heads, and the cursor's below the picture.
    room = console.height - used - len(console.render_lines(head)) - 2
    for count in range(_BLOCKED, 0, -1):
        blocked = Group(*_blocked(progress, count, wall))
        rows = room - len(console.render_lines(blocked))
        if rows >= _LEAST:
            break
    return Group(head, node_table(progress.nodes(), max(rows, _LEAST), console.width, progress.blocked), blocked)


def node_table(
    nodes: Sequence[NodeProgress], rows: int, width: int, blocked: Sequence[Diagnosis] = ()
) -> RenderableType:
    """One line for each node, those that move first; what does not fit in `rows` lines is counted."""
    reasons = {one.node: one.reason for one in reversed(blocked)}
    chosen = sorted(nodes, key=lambda node: (_ORDER[node.phase], node.name))
    shown = chosen if len(chosen) <= rows else chosen[: rows - 1]
    cells = [_cells(node, reasons.get(node.name, "")) for node in shown]
    widths = _widths(cells, width)
    kept = [column for column, most in enumerate(widths) if most]
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    for column in kept:
        side: JustifyMethod = "right" if _HEADS[column] == "PODS" else "left"
        table.add_column(_HEADS[column], no_wrap=True, overflow="ellipsis", max_width=widths[column], justify=side)
    for line in cells:
        table.add_row(*(Text(line[column], style=_STYLES.get(line[column], "")) for column in kept))
    if len(chosen) == len(shown):
        return table
    rest = Counter(_word(node) for node in chosen[len(shown) :])
    return Group(table, Text("and " + ", ".join(f"{count} {word}" for word, count in rest.items()), style="dim"))


def _cells(node: NodeProgress, reason: str) -> tuple[str, ...]:
    version = node.version and node.version + _SIDES.get(node.phase, " (old)")
    nothing = "" if node.phase in _SIDES else "-"
    return node.name, version, node.zone, _word(node), str(node.pods_left or nothing), reason


def _word(node: NodeProgress) -> str:
    if node.phase in _WORDS:
        return _WORDS[node.phase]
    if node.cordoned:
        return "cordoned"
    return "ready" if node.ready else "not ready"


def _widths(cells: Sequence[tuple[str, ...]], width: int) -> list[int]:
    """How wide each column may be: names of nodes give way, then reasons. 0 for a column with nothing in it."""
    needs = [max((len(line[column]) for line in cells), default=0) for column in range(len(_HEADS))]
    wide = [max(need, len(head)) if need else 0 for need, head in zip(needs, _HEADS, strict=True)]
    for column in (0, len(_HEADS) - 1):
        beyond = sum(wide) + _GAP * sum(map(bool, wide)) - width
        if beyond > 0 and wide[column]:
            wide[column] = max(_SHORTEST, wide[column] - beyond)
    return wide


def _head(title: str, progress: Progress) -> list[RenderableType]:
    phase = "paused" if any(one.reason == "paused" for one in progress.blocked) else progress.phase
    first = Text(title, style="bold").append(f"  {phase}  {progress.pods_left} pods left", style="not bold")
    parts: list[RenderableType] = [first, _bar(progress)]
    if progress.capacity is not None:
        now, floor = progress.capacity, progress.floor
        least = f" of at least {floor}" if floor is not None else ""
        parts.append(Text(f"ready nodes: {now.blue + now.green}{least} ({now.blue} old, {now.green} new or staying)"))
    return parts


def _bar(progress: Progress) -> Table:
    bar = Table.grid(padding=(0, 2))
    done = ProgressBar(total=max(progress.nodes_total, 1), completed=progress.nodes_done, width=14)
    bar.add_row(done, f"{progress.nodes_done}/{progress.nodes_total} nodes", time_left(progress))
    return bar


def _blocked(progress: Progress, count: int, wall: float) -> list[Text]:
    """The first `count` of what does not move, each with since when and its fix."""
    shown = [
        Text(f"{one.place}{_age(one, wall)}: {one.reason}: {one.message}", style="yellow").append(
            f"\n  {one.fix}", style="not yellow"
        )
        for one in progress.blocked[:count]
    ]
    more = len(progress.blocked) - count
    return [*shown, Text(f"and {more} more are blocked", style="dim")] if more > 0 else shown


def _age(one: Diagnosis, wall: float) -> str:
    return f", for {duration(max(1, round(wall - one.since)))}" if one.since else ""
