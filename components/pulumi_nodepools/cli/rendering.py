"""`nodepools render-user-data`: what nodes are told, without AWS or a cluster."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pulumi_nodepools.cli.answers import say
from pulumi_nodepools.cli.options import Pool, Version


def render_user_data(
    file: Annotated[Path, typer.Argument(help="The stack's configuration: Pulumi.<stack>.yaml.")],
    *,
    pool: Pool,
    version: Version,
    family: Annotated[str, typer.Option(help="As if the version's osFamily were this one.")] = "",
) -> int:
    """Print what nodes are told at their first boot.

    Byte for byte; asks neither AWS nor a cluster.
    """
    from pulumi_nodepools.user_data import from_stack_file  # noqa: PLC0415 - the other commands do without Pulumi's SDK

    text, doubts = from_stack_file(file, pool, version, family)
    for doubt in doubts:
        say(f"warning: {doubt}")
    sys.stdout.write(text)
    return 0
