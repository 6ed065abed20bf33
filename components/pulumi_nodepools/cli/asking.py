"""`nodepools pause`, `resume` and `stop`: asked of drains that run elsewhere, through the pool's record."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from pulumi_nodepools.cli.answers import reported, say
from pulumi_nodepools.cli.holding import connect
from pulumi_nodepools.cli.options import Context, Format, Nodes, Output, Selector
from pulumi_nodepools.cluster import requests
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.selection import Selection, pools_of

WholePool = Annotated[str, typer.Option("--pool", help="Pool, whichever of its versions is drained.")]


def pause(
    nodes: Nodes = None,
    *,
    pool: WholePool = "",
    selector: Selector = "",
    output: Format = Output.text,
    context: Context = "",
) -> int:
    """Let the drains of a pool stand still, the running one and later ones, until `resume`."""

    def one(record: PoolRecord) -> tuple[str, str]:
        holder = record.holder()
        requests.ask(record, "pause")
        return "paused", f"its drain ({holder}) starts nothing new" if holder else "no drain runs; a later one waits"

    return _asked("pause", one, _wanted(nodes, pool, selector), output, context)


def resume(
    nodes: Nodes = None,
    *,
    pool: WholePool = "",
    selector: Selector = "",
    output: Format = Output.text,
    context: Context = "",
) -> int:
    """Take a pause back, or a stop that no run has seen yet."""

    def one(record: PoolRecord) -> tuple[str, str]:
        before = requests.withdraw(record)
        return ("resumed", f"{before}, no longer") if before else ("idle", "nothing was asked of its drains")

    return _asked("resume", one, _wanted(nodes, pool, selector), output, context)


def stop(
    nodes: Nodes = None,
    *,
    pool: WholePool = "",
    selector: Selector = "",
    output: Format = Output.text,
    context: Context = "",
) -> int:
    """End the drain that runs now, between two evictions; it can be resumed by running it again."""

    def one(record: PoolRecord) -> tuple[str, str]:
        if not record.holder():
            return "idle", "no drain runs"
        asked = requests.ask(record, "stop")
        return "stopping", f"its run ({asked.holder}) ends within seconds, exit code 2"

    return _asked("stop", one, _wanted(nodes, pool, selector), output, context)


def _wanted(nodes: list[str] | None, pool: str, selector: str) -> Selection:
    return Selection(tuple(nodes or ()), pool, "", selector)


def _asked(
    command: str,
    one: Callable[[PoolRecord], tuple[str, str]],
    wanted: Selection,
    output: Output,
    context: str,
) -> int:
    def act() -> dict[str, Any]:
        if sum(map(bool, (wanted.nodes, wanted.pool, wanted.selector))) != 1:
            raise ConfigError("name the pool in one way: --pool, or the nodes by --selector or by their names")
        client = connect(context)
        done = []
        for pool in pools_of(client, wanted):
            state, message = one(PoolRecord(client, pool))
            done.append({"pool": pool, "state": state, "message": message})
            say(f"pool {pool}: {state}: {message}")
        return {"schemaVersion": 1, "command": command, "outcome": "done", "pools": done}

    return reported(output, act)
