"""`nodepools status`: what there is, without changing anything."""

from typing import Any

from pulumi_nodepools.cli.answers import reported
from pulumi_nodepools.cli.holding import connect
from pulumi_nodepools.cli.options import Context, Format, Output
from pulumi_nodepools.status import collect, table


def status(output: Format = Output.text, context: Context = "") -> int:
    """Pools, their versions, ready nodes, which version serves, what is frozen and who holds the pool."""

    def act() -> dict[str, Any]:
        found = collect(connect(context))
        if output is Output.text:
            print(table(found))
        return found

    return reported(output, act)
