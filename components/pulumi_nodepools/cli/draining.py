"""`nodepools drain`: the hooks' own drain by hand, on any nodes, and what it would do."""

import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any

import typer

from pulumi_nodepools import report as report_files
from pulumi_nodepools import units
from pulumi_nodepools.cli import options
from pulumi_nodepools.cli.answers import reported, say
from pulumi_nodepools.cli.holding import connect, hold
from pulumi_nodepools.cli.options import OnTimeout, Output, selection_of
from pulumi_nodepools.cli.screen import Screen
from pulumi_nodepools.cluster import attach_limits, preflight, rights
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.drainer import drain as run_drain
from pulumi_nodepools.cluster.exclusion import label_only
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.cluster.runner import refuse_own, this_runner
from pulumi_nodepools.cluster.turns import turn
from pulumi_nodepools.drain.model import Progress, WorldView
from pulumi_nodepools.drain.pace import status_line
from pulumi_nodepools.drain.settings import DrainSettings, ForceRule
from pulumi_nodepools.dry_run import plan
from pulumi_nodepools.errors import DrainBlockedError, HeldError
from pulumi_nodepools.hooks import guards
from pulumi_nodepools.hooks.batch_command import command_of
from pulumi_nodepools.selection import Chosen, Selection, select

_STOPPING = "stopping: nothing new is evicted; press ^C again to end at once"
_UNBUDGETED = "Pods without a budget: paced (at most a quarter of a controller's at a time), or all at once."


def drain(
    nodes: options.Nodes = None,
    *,
    pool: options.Pool = "",
    version: options.Version = "",
    selector: options.Selector = "",
    timeout: options.Timeout = "30m",
    total_timeout: Annotated[str, typer.Option(help="For the whole drain.")] = "6h",
    detach_timeout: Annotated[str, typer.Option(help="For a node's volumes, once it is empty.")] = "10m",
    on_timeout: options.Late = OnTimeout.fail,
    force_pod_age: options.ForcePodAge = "0s",
    force_siblings_ready: options.ForceSiblings = "0s",
    force_interval: options.ForceInterval = "0s",
    batch_size: Annotated[str, typer.Option(help="Nodes at a time: a count or a percentage.")] = "10%",
    batch_soak: Annotated[str, typer.Option(help="Pause after each batch.")] = "0s",
    batch_command: options.BatchCommand = "",
    batch_command_timeout: options.BatchCommandTimeout = "5m",
    unbudgeted: Annotated[options.Unbudgeted, typer.Option(help=_UNBUDGETED)] = options.Unbudgeted.paced,
    single_replicas: options.Singles = options.SingleReplicas.evict,
    jobs: options.RunningJobs = options.Jobs.evict,
    delete_emptydir_data: options.LocalData = False,
    force: options.Bare = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be evicted and what would block.")
    ] = False,
    output: options.Format = Output.text,
    context: options.Context = "",
) -> int:
    """Move all workloads off nodes, under their budgets.

    The nodes stay cordoned. The same command goes on where an earlier run has stopped.
    """

    def act() -> dict[str, Any]:
        settings = DrainSettings(
            batch_size=batch_size,
            node_timeout=units.seconds("--timeout", timeout),
            total_timeout=units.seconds("--total-timeout", total_timeout),
            detach_timeout=units.seconds("--detach-timeout", detach_timeout),
            on_timeout=on_timeout.value,
            batch_soak=units.seconds("--batch-soak", batch_soak),
            batch_gate=options.batch_gate(batch_command, batch_command_timeout),
            unbudgeted=unbudgeted.value,
            single_replicas=single_replicas.value,
            empty_dir="allow" if delete_emptydir_data else "block",
            bare_pods="allow" if force else "block",
            jobs=jobs.value,
            force=ForceRule(
                units.seconds("--force-pod-age", force_pod_age),
                units.seconds("--force-siblings-ready", force_siblings_ready),
                units.seconds("--force-interval", force_interval),
            ),
        )
        selection = selection_of(nodes, pool, version, selector)
        live = output is Output.text and sys.stderr.isatty()
        run = _dry_run if dry_run else partial(_drain, live=live)
        return run(connect(context), selection, settings)

    return reported(output, act)


def _dry_run(client: Client, selection: Selection, settings: DrainSettings) -> dict[str, Any]:
    chosen = select(client, selection)
    world, findings = preflight.run(client, chosen.matches, settings, chosen.pools)
    body = plan(world, chosen.matches, settings, _guard(client, chosen, settings), findings)
    for entry in body["diagnosis"]:
        where = f"{entry['object']} on {entry['node']}".removesuffix(" on ")
        say(f"{where}: {entry['reason']}: {entry['message']}".removeprefix(": "))
    say(f"{body['outcome']}: {len(body['nodes'])} nodes, {len(body['evict'])} pods would be evicted")
    return body


def _guard(client: Client, chosen: Chosen, settings: DrainSettings) -> Callable[[WorldView], None]:
    """What a drain by hand must not do either; a dry run asks the same."""
    told = _Lines()

    def guard(world: WorldView) -> None:
        if chosen.version:
            guards.refuse_serving(chosen.pool, chosen.version, PoolRecord(client, chosen.pool).load().serving)
        guards.require_room(attach_limits.seen(client, world, chosen.matches, told), chosen.matches, settings)

    return guard


def _drain(client: Client, selection: Selection, settings: DrainSettings, *, live: bool) -> dict[str, Any]:
    rights.require(client)
    chosen = select(client, selection)
    stop = threading.Event()
    with ExitStack() as stack:
        stack.enter_context(_stopped_by_signals(stop))
        leases = hold(stack, client, chosen.pools, stop)
        who = f"{chosen.owner} by hand"
        leases.append(
            stack.enter_context(turn(client, who, stop=stop, limit=settings.total_timeout, waits=_Lines().waits))
        )
        guard = _guard(client, chosen, settings)

        def before_batch(world: WorldView) -> None:
            for lease in leases:
                lease.check()
            refuse_own(world, frozenset(node.name for node in world.nodes if chosen.matches(node)), this_runner())
            guard(world)

        try:
            report = run_drain(
                client,
                nodes=chosen.matches,
                settings=settings,
                owner=chosen.owner,
                before_batch=before_batch,
                listen=stack.enter_context(Screen(f"drain of {chosen.owner}")) if live else _Teller(),
                stop=stop,
                leave=partial(label_only, client),
                command=command_of(settings, ",".join(chosen.pools), chosen.version),
                records=[PoolRecord(client, held) for held in chosen.pools],
            )
        except DrainBlockedError as error:
            lost = next((lease.lost for lease in leases if lease.lost), "")
            if lost:
                raise HeldError(lost) from error
            if stop.is_set():
                say(_left(chosen))
            raise
    body: dict[str, Any] = report.to_json()
    report_files.save_if_wanted(chosen.owner, body)
    return body


class _Lines:
    """Says on stderr what changed since the last line."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, line: str) -> None:
        if line != self._last:
            self._last = line
            say(line)

    def waits(self, other: str) -> None:
        """For whom, once."""
        self(f"waiting for the drain of {other}: one drain at a time runs in a cluster")


class _Teller:
    """Says how the drain goes on, and each diagnosis once."""

    def __init__(self) -> None:
        self._line = _Lines()
        self._told: set[tuple[str, str]] = set()

    def __call__(self, progress: Progress) -> None:
        for diagnosis in progress.blocked:
            key = (diagnosis.reason, diagnosis.object)
            if key not in self._told:
                self._told.add(key)
                say(str(diagnosis))
        self._line(status_line(progress))


def _left(chosen: Chosen) -> str:
    return (
        f"stopped: the nodes of {chosen.owner} stay cordoned, what was evicted stays where it is now, and the rest "
        "runs on. The same command goes on from here; `nodepools uncordon` with the same nodes takes it back"
    )


def _stopped_by_signals(stop: threading.Event) -> ExitStack:
    """For the block, the first ^C or SIGTERM asks the drain to stop cleanly; a second ^C ends the process."""
    stack = ExitStack()

    def ask(_number: int, _frame: object) -> None:
        stop.set()
        # Not from here: the interrupted thread may be in the middle of a write to the same stream.
        threading.Thread(target=say, args=[_STOPPING]).start()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, ask))
    return stack
