"""`nodepools uncordon`: take back what a drain did to nodes."""

import threading
from contextlib import ExitStack
from typing import Any

from pulumi_nodepools.cli.answers import reported, say
from pulumi_nodepools.cli.holding import connect, hold
from pulumi_nodepools.cli.options import Context, Format, Nodes, Output, Pool, Selector, Version, selection_of
from pulumi_nodepools.cluster.drainer import uncordon as run_uncordon
from pulumi_nodepools.selection import select


def uncordon(
    nodes: Nodes = None,
    *,
    pool: Pool = "",
    version: Version = "",
    selector: Selector = "",
    output: Format = Output.text,
    context: Context = "",
) -> int:
    """Let workloads back onto nodes that were drained.

    Only cordons of ours are taken off; others are left alone.
    """

    def act() -> dict[str, Any]:
        selection = selection_of(nodes, pool, version, selector)
        client = connect(context)
        chosen = select(client, selection)
        with ExitStack() as stack:
            hold(stack, client, chosen.pools, threading.Event())
            freed = run_uncordon(client, chosen.matches, chosen.owner)
        say(f"{len(freed)} nodes uncordoned{': ' + ', '.join(freed) if freed else ''}")
        return {"schemaVersion": 1, "command": "uncordon", "outcome": "done", "nodes": freed}

    return reported(output, act)
