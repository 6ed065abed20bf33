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
Ask = Callable[[PoolRecord], tuple[str, str]]
"""Asks it of one pool; returns the state of the pool's drain, in a word and for people."""


def _command(name: str, ask: Ask) -> Callable[..., int]:
    """The command that asks all pools that are meant; typer reads its options here, and its help in `ask`."""

    def command(
        nodes: Nodes = None,
        *,
        pool: WholePool = "",
        selector: Selector = "",
        output: Format = Output.text,
        context: Context = "",
    ) -> int:
        wanted = Selection(tuple(nodes or ()), pool, "", selector)
        return reported(output, lambda: _asked(name, ask, wanted, context))

    command.__doc__ = ask.__doc__
    return command


def _pause(record: PoolRecord) -> tuple[str, str]:
    """Let the drains of a pool stand still, until `resume`. The running one as well as later ones."""
    holder = record.holder()
    requests.ask(record, "pause")
    return "paused", f"its drain ({holder}) starts nothing new" if holder else "no drain runs; a later one waits"


def _resume(record: PoolRecord) -> tuple[str, str]:
    """Take a pause back, or a stop that no run has seen yet."""
    before = requests.withdraw(record)
    return ("resumed", f"{before}, no longer") if before else ("idle", "nothing was asked of its drains")


def _stop(record: PoolRecord) -> tuple[str, str]:
    """End the drain that runs now, between two evictions. Running it again resumes it."""
    if not record.holder():
        return "idle", "no drain runs"
    asked = requests.ask(record, "stop")
    return "stopping", f"its run ({asked.holder}) ends within seconds, exit code 2"


def _asked(command: str, ask: Ask, wanted: Selection, context: str) -> dict[str, Any]:
    if sum(map(bool, (wanted.nodes, wanted.pool, wanted.selector))) != 1:
        raise ConfigError("name the pool in one way: --pool, or the nodes by --selector or by their names")
    client = connect(context)
    done = []
    for pool in pools_of(client, wanted):
        state, message = ask(PoolRecord(client, pool))
        done.append({"pool": pool, "state": state, "message": message})
        say(f"pool {pool}: {state}: {message}")
    return {"schemaVersion": 1, "command": command, "outcome": "done", "pools": done}


pause, resume, stop = _command("pause", _pause), _command("resume", _resume), _command("stop", _stop)
