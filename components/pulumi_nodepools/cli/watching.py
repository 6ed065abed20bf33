"""`nodepools status --watch`: the same table again and again, in its place on a terminal, else only when it changed."""

import sys
import time
from collections.abc import Callable
from typing import Any

from rich.live import Live
from rich.text import Text

from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.errors import ClusterUnreachableError
from pulumi_nodepools.status import collect, table

_INTERVAL = 2.0


def follow(client: Client, wait: Callable[[float], object] = time.sleep) -> dict[str, Any]:
    """Until ^C; what was seen last. A cluster that does not answer is told of and asked again."""
    found = collect(client)
    live = Live(_shown(table(found)), auto_refresh=False) if sys.stdout.isatty() else None
    shown = "" if live else table(found)
    try:
        if live:
            live.start(refresh=True)
        else:
            print(shown, flush=True)
        while True:
            wait(_INTERVAL)
            found, text = _look(client, found)
            if live:
                live.update(_shown(text), refresh=True)
            elif text != shown:
                print(f"\n{text}", flush=True)
            shown = text
    except KeyboardInterrupt:
        return found
    finally:
        if live:
            live.stop()


def _shown(text: str) -> Text:
    """Cut at the terminal's edge: a wrapped line would tear the columns."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def _look(client: Client, before: dict[str, Any]) -> tuple[dict[str, Any], str]:
    try:
        found = collect(client)
    except ClusterUnreachableError as error:
        return before, f"{table(before)}\n\nas it was before: {error}"
    return found, table(found)
