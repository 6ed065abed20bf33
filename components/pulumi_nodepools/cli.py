"""The operator's commands: the hooks' own drain by hand, what the pools look like, and the way back.

Exit codes: 0 done, 2 blocked, timed out or held by another run, 1 every other error, usage included. Progress and
diagnoses go to stderr as they happen; with `--output json` stdout gets exactly one JSON document.
"""

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.main

from pulumi_nodepools import report as report_files
from pulumi_nodepools import units
from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.drainer import drain as run_drain
from pulumi_nodepools.cluster.drainer import uncordon as run_uncordon
from pulumi_nodepools.cluster.lease import LeaseHolder
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.drain.model import DrainSettings, Progress, WorldView
from pulumi_nodepools.dry_run import look, plan
from pulumi_nodepools.errors import ConfigError, DrainBlockedError, HeldError, NodePoolsError
from pulumi_nodepools.hooks import guards
from pulumi_nodepools.hooks.draining import status_line
from pulumi_nodepools.selection import Chosen, Selection, select
from pulumi_nodepools.status import collect, table

app = typer.Typer(add_completion=False, no_args_is_help=False, pretty_exceptions_enable=False, rich_markup_mode=None)
_ON_TIMEOUT = "When a node's time is up: fail, skip (leave that node out, exit 2), or force (delete what is left)."
_UsageError: Any = typer.BadParameter.__bases__[0]


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


Nodes = Annotated[list[str] | None, typer.Argument(help="Names of nodes.")]
Pool = Annotated[str, typer.Option(help="Pool, together with --version.")]
Version = Annotated[str, typer.Option("--version", help="Version of the pool.")]
Selector = Annotated[str, typer.Option("--selector", "-l", help="Label selector of nodes, instead of a pool.")]
Format = Annotated[Output, typer.Option("--output", "-o", help="text, or json: one document on stdout.")]
Context = Annotated[str, typer.Option(help="Context of the kubeconfig; its current one if not given.")]


@app.callback()
def nodepools() -> None:
    """Drain and look at node pools. The cluster is the one that KUBECONFIG names."""


@app.command()
def drain(
    nodes: Nodes = None,
    *,
    pool: Pool = "",
    version: Version = "",
    selector: Selector = "",
    timeout: Annotated[str, typer.Option(help="Per node, from its first eviction.")] = "30m",
    total_timeout: Annotated[str, typer.Option(help="For the whole drain.")] = "6h",
    on_timeout: Annotated[OnTimeout, typer.Option(help=_ON_TIMEOUT)] = OnTimeout.fail,
    batch_size: Annotated[str, typer.Option(help="Nodes at a time: a count or a percentage.")] = "10%",
    batch_soak: Annotated[str, typer.Option(help="Pause after each batch.")] = "0s",
    unbudgeted: Annotated[Unbudgeted, typer.Option(help="Pods without a budget.")] = Unbudgeted.paced,
    jobs: Annotated[Jobs, typer.Option(help="Running pods of Jobs: evict, or wait for them.")] = Jobs.evict,
    delete_emptydir_data: Annotated[bool, typer.Option(help="Evict pods with local data.")] = False,
    force: Annotated[bool, typer.Option(help="Evict bare pods, which nothing brings back.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be evicted and what would block.")] = False,
    output: Format = Output.text,
    context: Context = "",
) -> int:
    """Move all workloads off nodes under their disruption budgets. The nodes stay cordoned."""

    def act() -> dict[str, Any]:
        settings = DrainSettings(
            batch_size=batch_size,
            node_timeout=units.seconds("--timeout", timeout),
            total_timeout=units.seconds("--total-timeout", total_timeout),
            on_timeout=on_timeout.value,
            batch_soak=units.seconds("--batch-soak", batch_soak),
            unbudgeted=unbudgeted.value,
            empty_dir="allow" if delete_emptydir_data else "block",
            bare_pods="allow" if force else "block",
            jobs=jobs.value,
        )
        selection = _selection(nodes, pool, version, selector)
        run = _dry_run if dry_run else _drain
        return run(_connect(context), selection, settings)

    return _reported(output, act)


@app.command()
def uncordon(
    nodes: Nodes = None,
    *,
    pool: Pool = "",
    version: Version = "",
    selector: Selector = "",
    output: Format = Output.text,
    context: Context = "",
) -> int:
    """Let workloads back onto nodes that a drain of ours cordoned; other cordons are left alone."""

    def act() -> dict[str, Any]:
        selection = _selection(nodes, pool, version, selector)
        client = _connect(context)
        chosen = select(client, selection)
        with ExitStack() as stack:
            _hold(stack, client, chosen.pools, threading.Event())
            freed = run_uncordon(client, chosen.matches, chosen.owner)
        _say(f"{len(freed)} nodes uncordoned{': ' + ', '.join(freed) if freed else ''}")
        return {"schemaVersion": 1, "command": "uncordon", "outcome": "done", "nodes": freed}

    return _reported(output, act)


@app.command()
def status(output: Format = Output.text, context: Context = "") -> int:
    """Pools, their versions, ready nodes, which version serves, what is frozen and who holds the pool."""

    def act() -> dict[str, Any]:
        found = collect(_connect(context))
        if output is Output.text:
            print(table(found))
        return found

    return _reported(output, act)


@app.command("render-user-data")
def render_user_data(
    file: Annotated[Path, typer.Argument(help="The stack's configuration: Pulumi.<stack>.yaml.")],
    *,
    pool: Pool,
    version: Version,
    family: Annotated[str, typer.Option(help="As if the version's osFamily were this one.")] = "",
) -> int:
    """Print what the nodes of a version are told at their first boot, byte for byte. Asks neither AWS nor a cluster."""
    from pulumi_nodepools.user_data import from_stack_file  # noqa: PLC0415 - the other commands do without Pulumi's SDK

    text, doubts = from_stack_file(file, pool, version, family)
    for doubt in doubts:
        _say(f"warning: {doubt}")
    sys.stdout.write(text)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    command = typer.main.get_command(app)
    try:
        code = command.main(args=arguments, prog_name="nodepools", standalone_mode=False)
    except _UsageError as error:
        _say(f"error: {error.format_message()}; `nodepools --help` lists commands and options")
        return 1
    except NodePoolsError as error:
        _say(f"error: {error}")
        return error.exit_code
    return int(code or 0)


def _reported(output: Output, act: Callable[[], dict[str, Any]]) -> int:
    """Run, and give stdout its one document, whatever the outcome."""
    try:
        body = act()
        code = 2 if body.get("outcome") == "blocked" else 0
    except NodePoolsError as error:
        _say(f"error: {error}")
        code = error.exit_code
        report = getattr(error, "report", None)
        body = {**(report.to_json() if report else {"schemaVersion": 1}), "outcome": "failed", "error": str(error)}
        body.setdefault("diagnosis", [_diagnosis(error)] if code == 2 else [])
    if output is Output.json:
        sys.stdout.write(report_files.text(body))
    return code


def _diagnosis(error: NodePoolsError) -> dict[str, Any]:
    reason = "held" if isinstance(error, HeldError) else "stopped"
    return {"reason": reason, "object": "", "node": "", "message": str(error), "fix": "", "numbers": {}}


def _dry_run(client: Client, selection: Selection, settings: DrainSettings) -> dict[str, Any]:
    chosen = select(client, selection)
    body = plan(look(client), chosen.matches, settings, _guard(client, chosen, settings))
    for entry in body["diagnosis"]:
        _say(f"{entry['object']} on {entry['node']}: {entry['reason']}: {entry['message']}".removeprefix(" on : "))
    _say(f"{body['outcome']}: {len(body['nodes'])} nodes, {len(body['evict'])} pods would be evicted")
    return body


def _guard(client: Client, chosen: Chosen, settings: DrainSettings) -> Callable[[WorldView], None]:
    """What a drain by hand must not do either; a dry run asks the same."""

    def guard(world: WorldView) -> None:
        if chosen.version:
            guards.refuse_serving(chosen.pool, chosen.version, PoolRecord(client, chosen.pool).load().serving)
        guards.require_room(world, chosen.matches, settings)

    return guard


def _drain(client: Client, selection: Selection, settings: DrainSettings) -> dict[str, Any]:
    chosen = select(client, selection)
    stop = threading.Event()
    with ExitStack() as stack:
        stack.enter_context(_stopped_by_signals(stop))
        leases = _hold(stack, client, chosen.pools, stop)

        guard = _guard(client, chosen, settings)

        def before_batch(world: WorldView) -> None:
            for lease in leases:
                lease.check()
            guard(world)

        try:
            report = run_drain(
                client,
                nodes=chosen.matches,
                settings=settings,
                owner=chosen.owner,
                before_batch=before_batch,
                listen=_Teller(),
                stop=stop,
            )
        except DrainBlockedError as error:
            lost = next((lease.lost for lease in leases if lease.lost), "")
            if lost:
                raise HeldError(lost) from error
            raise
    body: dict[str, Any] = report.to_json()
    report_files.save_if_wanted(chosen.owner, body)
    return body


class _Teller:
    """Says on stderr what changed since the last line, and each diagnosis once."""

    def __init__(self) -> None:
        self._last = ""
        self._told: set[tuple[str, str]] = set()

    def __call__(self, progress: Progress) -> None:
        for diagnosis in progress.blocked:
            key = (diagnosis.reason, diagnosis.object)
            if key not in self._told:
                self._told.add(key)
                _say(str(diagnosis))
        line = status_line(progress)
        if line != self._last:
            self._last = line
            _say(line)


def _hold(stack: ExitStack, client: Client, pools: Sequence[str], stop: threading.Event) -> list[LeaseHolder]:
    # In one order everywhere: two commands over the same pools must not wait for each other.
    return [stack.enter_context(PoolRecord(client, pool).hold(stop=stop)) for pool in sorted(pools)]


def _stopped_by_signals(stop: threading.Event) -> ExitStack:
    """For the block, the first ^C or SIGTERM asks the drain to stop cleanly; a second ^C ends the process."""
    stack = ExitStack()

    def ask(_number: int, _frame: object) -> None:
        stop.set()
        _say("stopping: nothing new is evicted; press ^C again to end at once")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, ask))
    return stack


def _selection(nodes: list[str] | None, pool: str, version: str, selector: str) -> Selection:
    ways = [bool(nodes), bool(pool or version), bool(selector)]
    if sum(ways) != 1 or bool(pool) != bool(version):
        raise ConfigError("name the nodes in one way: --pool with --version, --selector, or names of nodes")
    return Selection(tuple(nodes or ()), pool, version, selector)


def _connect(context: str) -> Client:
    return Client.connect(Access(kind="kubeconfig", context=context or None))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
