"""The operator's commands: the hooks' own drain by hand, what the pools look like, and the way back.

Exit codes: 0 done, 2 blocked, timed out, held by another run or signatures found, 1 every other error, usage included.
Progress and diagnoses go to stderr as they happen; with `--output json` stdout gets exactly one JSON document.
"""

from collections.abc import Sequence

import typer
import typer.main

from pulumi_nodepools.cli.answers import UsageError, say
from pulumi_nodepools.cli.asking import pause, resume, stop
from pulumi_nodepools.cli.checking import ci_check
from pulumi_nodepools.cli.draining import drain
from pulumi_nodepools.cli.looking import preflight, status
from pulumi_nodepools.cli.planning import plan
from pulumi_nodepools.cli.rendering import render_user_data
from pulumi_nodepools.cli.reporting import report
from pulumi_nodepools.cli.scanning import soak
from pulumi_nodepools.cli.uncordoning import uncordon
from pulumi_nodepools.errors import NodePoolsError

app = typer.Typer(add_completion=False, no_args_is_help=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def nodepools() -> None:
    """Drain and look at node pools. The cluster is the one that KUBECONFIG names."""


app.command()(preflight)
app.command()(drain)
app.command()(uncordon)
app.command("pause")(pause)
app.command("resume")(resume)
app.command("stop")(stop)
app.command()(status)
app.command("ci-check")(ci_check)
app.command()(report)
app.command()(plan)
app.command("render-user-data")(render_user_data)
app.add_typer(soak, name="soak")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    command = typer.main.get_command(app)
    try:
        code = command.main(args=arguments, prog_name="nodepools", standalone_mode=False)
    except UsageError as error:
        what = error.format_message().removesuffix(".").replace("Value error, ", "")  # the parser's word, no user's
        say(f"error: {what}; `nodepools --help` lists commands and options")
        return 1
    except NodePoolsError as error:
        say(f"error: {error}")
        return error.exit_code
    return int(code or 0)
