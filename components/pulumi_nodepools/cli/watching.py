"""`nodepools status --watch`: pools, and the drain that is under way, whoever runs it.

Drawn in its place on a terminal, as `drain` does it (cli/screen.py); else plain lines, only when something changed.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from pulumi_nodepools import watched
from pulumi_nodepools.cli.screen import node_table, picture
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.lease import Pulse
from pulumi_nodepools.cluster.snapshot import look
from pulumi_nodepools.drain.model import NodeView, Progress
from pulumi_nodepools.drain.note import read
from pulumi_nodepools.drain.pace import status_line
from pulumi_nodepools.drain.progress import node_progress
from pulumi_nodepools.errors import ClusterUnreachableError
from pulumi_nodepools.names import POOL_LABEL
from pulumi_nodepools.status import collect, table

_INTERVAL = 2.0
"""Seconds between two looks."""
_SHARE = 4.0
"""A look may take one part in so many of the time: in a large cluster they are rarer."""


@dataclass(frozen=True)
class Sight:
    """What one look has shown."""

    found: Mapping[str, Any]
    nodes: tuple[NodeView, ...] = ()
    drains: Mapping[str, Progress] = field(default_factory=dict)
    """Those under way and those whose end was seen, by their titles; first the ones that run."""
    trouble: str = ""
    """Why this is what an earlier look has shown."""


class Watching:
    """Looks at a cluster again and again, and remembers what a single look does not show."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pulses: dict[str, Pulse] = {}
        self._followed: dict[str, Progress] = {}
        self.pause = _INTERVAL
        """Seconds until the next look."""

    def look(self) -> Sight:
        """What there is now."""
        began = time.monotonic()
        found, world = collect(self._client), look(self._client, ("nodes", "pods"))
        left = watched.pods_left(world.pods, time.time())
        drains = {}
        for run in sorted(map(self._run, found["pools"]), key=lambda run: not run.alive):
            before = self._followed.get(run.owner)
            if before or watched.in_progress(run, world.nodes):
                drains[f"drain of {run.owner}"] = self._followed[run.owner] = watched.progress(
                    run, world.nodes, left, before
                )
        self.pause = max(_INTERVAL, _SHARE * (time.monotonic() - began))
        return Sight(found, tuple(world.nodes), drains)

    def _run(self, pool: Mapping[str, Any]) -> watched.Run:
        note = read(pool["drain"] or {})
        pulse = self._pulses.setdefault(pool["pool"], Pulse())
        alive = pulse.beats(pool["holder"], pool["renewed"], time.monotonic())
        return watched.Run(pool["pool"], note, note is not None and alive and pool["holder"] == note.holder)


def follow(client: Client, wait: Callable[[float], object] = time.sleep) -> dict[str, Any]:
    """Until ^C; what was seen last. A cluster that does not answer is told of and asked again."""
    watching = Watching(client)
    sight = watching.look()
    with ExitStack() as stack:
        show = _drawn(stack) if sys.stdout.isatty() else _printed()
        try:
            while True:
                show(sight)
                wait(watching.pause)
                sight = _again(watching, sight)
        except KeyboardInterrupt:
            return dict(sight.found)


def _again(watching: Watching, before: Sight) -> Sight:
    try:
        return watching.look()
    except ClusterUnreachableError as error:
        return replace(before, trouble=f"as it was before: {error}")


def _drawn(stack: ExitStack) -> Callable[[Sight], None]:
    console = Console()
    live = stack.enter_context(Live(console=console, auto_refresh=False))
    return lambda sight: live.update(drawn(sight, console, time.time()), refresh=True)


def _printed() -> Callable[[Sight], None]:
    last = ""

    def show(sight: Sight) -> None:
        nonlocal last
        text = plain(sight)
        if text != last:
            print(f"\n{text}" if last else text, flush=True)
        last = text

    return show


def plain(sight: Sight) -> str:
    """In lines, without nodes."""
    lines = [table(sight.found)]
    for title, progress in sight.drains.items():
        lines += [f"{title}: {status_line(progress)}", *(f"  {one}" for one in progress.blocked)]
    return "\n".join([*lines, *(["", sight.trouble] if sight.trouble else [])])


def drawn(sight: Sight, console: Console, wall: float) -> RenderableType:
    """Versions, then the drain that runs, and a line for each other one; where there is none, the nodes."""
    # Cut at the terminal's edge: a wrapped line would tear the columns.
    parts: list[RenderableType] = [Text(table(sight.found), no_wrap=True, overflow="ellipsis"), Text("")]
    if sight.trouble:
        parts.insert(0, Text(sight.trouble, style="yellow"))
    drains = list(sight.drains.items())
    below = [
        Text(f"{title}: {status_line(progress)}", no_wrap=True, overflow="ellipsis") for title, progress in drains[1:]
    ]
    used = _lines([*parts, *below], console)
    if drains:
        parts.append(picture(*drains[0], console, wall, used))
    else:
        parts.append(_idle(sight.nodes, console.height - used - 2, console.width))
    return Group(*parts, *below)


def _lines(parts: Sequence[RenderableType], console: Console) -> int:
    return len(console.render_lines(Group(*parts)))


def _idle(nodes: tuple[NodeView, ...], rows: int, width: int) -> RenderableType:
    """The nodes of all pools."""
    pooled = [
        replace(one, version=f"{node.labels[POOL_LABEL]}/{one.version}")
        for node in nodes
        if POOL_LABEL in node.labels and (one := node_progress(node, "idle", 0))
    ]
    return node_table(pooled, max(rows, 1), width)
