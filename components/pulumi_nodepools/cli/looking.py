"""`nodepools status` and `preflight`: what there is and what stands in the way, without changing anything."""

from typing import Annotated, Any

import typer

from pulumi_nodepools import units
from pulumi_nodepools.cli import options, watching
from pulumi_nodepools.cli.answers import reported, say
from pulumi_nodepools.cli.holding import connect
from pulumi_nodepools.cli.options import Context, Format, OnTimeout, Output, selection_of
from pulumi_nodepools.cluster.preflight import run as run_preflight
from pulumi_nodepools.drain.preflight import standing
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.selection import select
from pulumi_nodepools.status import collect, table

_ACKNOWLEDGE = "A finding that is to stop nothing: <reason>/<namespace>/<name>, * for anything; may be repeated."


def status(
    output: Format = Output.text,
    context: Context = "",
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every few seconds, until ^C.")] = False,
) -> int:
    """Show pools, their versions, and who is at work.

    Ready and proved nodes, which version serves, what is frozen, what was asked of drains.

    With --watch also the drain that is under way, node by node, whoever runs it and wherever.
    """

    def act() -> dict[str, Any]:
        if watch and output is Output.json:
            raise ConfigError("--watch is for people; ask for one --output json document at a time")
        if watch:
            return watching.follow(connect(context))
        found = collect(connect(context))
        if output is Output.text:
            print(table(found))
        return found

    return reported(output, act)


def preflight(
    nodes: options.Nodes = None,
    *,
    pool: options.Pool = "",
    version: options.Version = "",
    selector: options.Selector = "",
    timeout: options.Timeout = "30m",
    on_timeout: options.Late = OnTimeout.fail,
    single_replicas: options.Singles = options.SingleReplicas.evict,
    jobs: options.RunningJobs = options.Jobs.evict,
    delete_emptydir_data: options.LocalData = False,
    force: options.Bare = False,
    acknowledge: Annotated[list[str] | None, typer.Option(help=_ACKNOWLEDGE)] = None,
    output: Format = Output.text,
    context: Context = "",
) -> int:
    """Say what would hold or hurt a drain of these nodes. Exit code 2 if it would stop as things are."""

    def act() -> dict[str, Any]:
        settings = DrainSettings(
            node_timeout=units.seconds("--timeout", timeout),
            on_timeout=on_timeout.value,
            empty_dir="allow" if delete_emptydir_data else "block",
            bare_pods="allow" if force else "block",
            single_replicas=single_replicas.value,
            jobs=jobs.value,
            acknowledge=tuple(acknowledge or ()),
        )
        selection = selection_of(nodes, pool, version, selector)
        client = connect(context)
        chosen = select(client, selection)
        _, findings = run_preflight(client, chosen.matches, settings, chosen.pools)
        stops = standing(findings)
        if output is Output.text:
            print("\n".join(map(str, findings)) or "nothing found")
        say(f"{len(chosen.names)} nodes: {len(findings)} findings, {len(stops)} of them would stop a drain")
        return {
            "schemaVersion": 1,
            "command": "preflight",
            "outcome": "blocked" if stops else "ok",
            "nodes": sorted(chosen.names),
            "findings": [one.to_json() for one in findings],
            "diagnosis": [one.diagnosis().to_json() for one in stops],
        }

    return reported(output, act)
