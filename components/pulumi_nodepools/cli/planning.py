"""`nodepools plan`: what a previewed update means for versions, nodes and workloads. Only reads."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pulumi_nodepools import roll_plan, roll_text
from pulumi_nodepools.cli.answers import reported
from pulumi_nodepools.cli.holding import connect
from pulumi_nodepools.cli.options import Context, Output
from pulumi_nodepools.roll_look import look
from pulumi_nodepools.update_plan import read


class Form(StrEnum):
    """How a plan is written."""

    markdown = "markdown"
    json = "json"


def plan(
    preview: Annotated[Path, typer.Option(help="What `pulumi preview --json --show-sames` wrote.")],
    output: Annotated[
        Form, typer.Option("--output", "-o", help="markdown, or json: one document on stdout.")
    ] = Form.markdown,
    context: Context = "",
) -> int:
    """Say what a previewed update means for workloads.

    Which versions it creates and removes, what it moves, and what stands in its way.

    Exit code 2 if a drain would stop as things are. Without the cluster it says what the preview alone can tell.
    """

    def act() -> dict[str, Any]:
        made = roll_plan.make(read(preview), lambda question: look(connect(context), question))
        if output is Form.markdown:
            sys.stdout.write(roll_text.markdown(made))
        return made.to_json()

    return reported(Output.json if output is Form.json else Output.text, act)
