"""The options that several commands share, as typer reads them."""

import shlex
from enum import StrEnum
from typing import Annotated

import typer

from pulumi_nodepools import units
from pulumi_nodepools.drain.settings import BatchGate
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.selection import Selection


class Output(StrEnum):
    """How a command says what it did."""

    text = "text"
    json = "json"


class OnTimeout(StrEnum):
    """What happens to a node whose time is up."""

    fail = "fail"
    skip = "skip"
    force = "force"


class Jobs(StrEnum):
    """What happens to running pods of Jobs."""

    evict = "evict"
    wait = "wait"


class Unbudgeted(StrEnum):
    """How pods without a budget go."""

    paced = "paced"
    all = "all"


class SingleReplicas(StrEnum):
    """How the only pod of a Deployment goes."""

    evict = "evict"
    surge = "surge"


_ON_TIMEOUT = "When a node's time is up: fail, skip (leave that node out, exit 2), or force (delete what is left)."

Nodes = Annotated[list[str] | None, typer.Argument(help="Names of nodes.")]
Pool = Annotated[str, typer.Option(help="Pool, together with --version.")]
Version = Annotated[str, typer.Option("--version", help="Version of the pool.")]
Selector = Annotated[str, typer.Option("--selector", "-l", help="Label selector of nodes, instead of a pool.")]
Format = Annotated[Output, typer.Option("--output", "-o", help="text, or json: one document on stdout.")]
Context = Annotated[str, typer.Option(help="Context of the kubeconfig; its current one if not given.")]
Timeout = Annotated[str, typer.Option(help="Per node, from its first eviction.")]
Late = Annotated[OnTimeout, typer.Option(help=_ON_TIMEOUT)]
ForcePodAge = Annotated[str, typer.Option(help="Force a pod under a budget only if it has run so long.")]
ForceSiblings = Annotated[str, typer.Option(help="… and the other pods of its budgets have been ready so long.")]
ForceInterval = Annotated[str, typer.Option(help="… and the last such pod of its node was deleted so long ago.")]
RunningJobs = Annotated[Jobs, typer.Option(help="Running pods of Jobs: evict, or wait for them.")]
Singles = Annotated[SingleReplicas, typer.Option(help="Single replicas: evict, or surge (have the next ready first).")]
LocalData = Annotated[bool, typer.Option("--delete-emptydir-data", help="Evict pods with local data.")]
BatchCommand = Annotated[
    str, typer.Option(help="Judges each batch before the next begins: a program with arguments, without a shell.")
]
BatchCommandTimeout = Annotated[str, typer.Option(help="For that command.")]
Bare = Annotated[bool, typer.Option("--force", help="Evict bare pods, which nothing brings back.")]


def batch_gate(command: str, timeout: str) -> BatchGate:
    """The gate between batches; ConfigError if the command's quotes do not match."""
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise ConfigError(f"--batch-command: {command!r} cannot be split into words: {error}") from None
    return BatchGate(command=words, command_timeout=units.seconds("--batch-command-timeout", timeout))


def selection_of(nodes: list[str] | None, pool: str, version: str, selector: str) -> Selection:
    """What was asked for; ConfigError unless the nodes are named in exactly one way."""
    ways = [bool(nodes), bool(pool or version), bool(selector)]
    if sum(ways) != 1 or bool(pool) != bool(version):
        raise ConfigError("name the nodes in one way: --pool with --version, --selector, or names of nodes")
    return Selection(tuple(nodes or ()), pool, version, selector)
