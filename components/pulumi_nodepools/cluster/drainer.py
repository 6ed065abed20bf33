"""Runs drain.machine against a cluster: watches in, writes out, time, progress, and the report at the end.

One loop owns the state; a few threads send the writes. Deciding is the machine's business, and so is everything about
budgets, pacing and deadlines.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pulumi_nodepools.cluster import deployments, eviction, out_of_service, rights
from pulumi_nodepools.cluster.announcer import Announcer
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.noting import Noter
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.cluster.requests import RequestWatcher
from pulumi_nodepools.cluster.watch import RESOURCES, Failed, Ready, Watcher
from pulumi_nodepools.cluster.workers import Workers
from pulumi_nodepools.drain.events import (
    Action,
    AskCommand,
    AskGuard,
    AskInstance,
    BalancersSeen,
    CommandEnded,
    CordonNode,
    Event,
    Evict,
    Finish,
    GuardLater,
    GuardPassed,
    InstanceSeen,
    LabelNode,
    LeaveBalancers,
    NodeAction,
    ReleaseNode,
    Remember,
    RestoreNode,
    Say,
    Stop,
    Surge,
    Synced,
    TaintNode,
    Tick,
)
from pulumi_nodepools.drain.machine import step
from pulumi_nodepools.drain.model import Diagnosis, DrainEvent, NodeView, Progress, WorldView
from pulumi_nodepools.drain.progress import dated, progress_of
from pulumi_nodepools.drain.report import DrainReport, explained, make_report
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.state import State
from pulumi_nodepools.errors import (
    AccessDeniedError,
    ClusterUnreachableError,
    ConfigError,
    DrainBlockedError,
    NodePoolsError,
)

_WORKERS = 32
_PROGRESS = 4.0
"""Seconds between progress reports, and how long a pod must not move before it is called blocked."""
_DIAGNOSIS_SHARE = 10.0
"""Deciding gets this many times as long as diagnosing."""
_SYNC_LIMIT = 120.0

uncordon = eviction.uncordon


class NotYet(Exception):  # noqa: N818 - no error: a guard's word
    """Raised by a guard: what is missing is coming, ask again soon."""


@dataclass(frozen=True)
class _Crashed:
    error: Exception


Leave = Callable[[Sequence[NodeView]], Iterable[BalancersSeen]]
"""Takes nodes out of their load balancers, one step further each time, and says what is still to be waited for: of each
node as soon as it can, so that its evictions need not wait for the others."""
Judge = Callable[[AskCommand, threading.Event], CommandEnded]
"""Runs the user's command of the batch gate; ends it early once the event is set."""
_Input = Event | Ready | Failed | _Crashed


def drain(
    client: Client,
    *,
    nodes: Callable[[NodeView], bool],
    settings: DrainSettings,
    owner: str,
    before_batch: Callable[[WorldView], None],
    listen: Callable[[Progress], None],
    stop: threading.Event | None = None,
    records: Sequence[PoolRecord] = (),
    instances: Callable[[NodeView], str] | None = None,
    leave: Leave | None = None,
    command: Judge | None = None,
    behind: Mapping[str, int] | None = None,
    remember: Callable[[Mapping[str, int]], None] | None = None,
) -> DrainReport:
    """Cordon and empty all nodes for which `nodes` says yes; returns when they are empty and workloads are back.

    `before_batch` runs before the first cordon and before each batch and stops the drain by raising, or has itself
    asked again by NotYet. What somebody asks in one of the `records` (pause, resume, stop) is done within seconds.
    `instances` gives EC2's state of the machine behind a node whose kubelet does not answer; without it such a node is
    waited for. `leave` takes nodes out of their load balancers; without it that step is left out. `command` runs what
    `settings.batch_gate` names, and must be given if it names one. `behind` is that of an earlier run's report:
    these workloads have to be back before anything is touched. `remember` is given the same of each batch before its
    first eviction, for the case that this run does not live to tell.

    Raises DrainBlockedError (with `.report`) when blocked, timed out or stopped, AccessDeniedError when rights are
    missing. It can be run again at any time: it goes on where the cluster says that it was.
    """
    rights.require_asked_for(client, settings)
    if settings.batch_gate.command and command is None:
        raise ConfigError("drain.batchGate.command: whoever drains here cannot run one; leave it out")
    state = State(
        settings,
        owner,
        nodes,
        now=time.monotonic(),
        wall=time.time(),
        balanced=leave is not None,
        behind=behind,
    )
    run = _Run(
        client,
        state,
        before_batch,
        listen,
        stop=stop,
        records=records,
        instances=instances,
        leave=leave,
        command=command,
        remember=remember,
    )
    return run.run()


class _Run:
    def __init__(
        self,
        client: Client,
        state: State,
        before_batch: Callable[[WorldView], None],
        listen: Callable[[Progress], None],
        *,
        stop: threading.Event | None,
        records: Sequence[PoolRecord],
        instances: Callable[[NodeView], str] | None,
        leave: Leave | None,
        command: Judge | None,
        remember: Callable[[Mapping[str, int]], None] | None,
    ) -> None:
        self._client = client
        self._before_batch = before_batch
        self._listen = listen
        self._stop = stop
        self._instances = instances
        self._leave = leave
        self._command = command
        self._remember = remember
        self._over = threading.Event()
        self._inbox: queue.SimpleQueue[_Input] = queue.SimpleQueue()
        self._state = state
        self._workers = Workers(_WORKERS)
        surges = state.settings.single_replicas == "surge"
        watchers = [
            # Only a surge waits for Deployments, and their status changes with every pod.
            Watcher(client, resource, self._inbox.put, once=resource.kind == "deployments" and not surges)
            for resource in RESOURCES
        ]
        self._requests = RequestWatcher(records, self._inbox.put)
        self._announcer = Announcer(client, state.world, state.nodes.owner)
        self._noter = Noter(records, state.nodes.owner)
        self._threads: list[Watcher | RequestWatcher | Announcer | Noter] = [
            self._requests,
            *watchers,
            self._noter,
            self._announcer,
        ]
        self._unready = {resource.name for resource in RESOURCES}
        self._events: list[tuple[float, DrainEvent]] = []
        self._calls_before = client.api_calls
        self._last_failure: Exception | None = None
        self._next_progress = time.monotonic() + _PROGRESS
        self._diagnoses: list[Diagnosis] = []
        self._diagnose_at = 0.0

    def run(self) -> DrainReport:
        self._requests.look()
        for thread in self._threads:
            thread.start()
        try:
            while not self._state.finish:
                self._turn()
        except NodePoolsError as error:
            raise _with_report(error, self._report(str(error))) from None
        finally:
            self._over.set()
            self._noter.ended(self._state.finish.outcome if self._state.finish else "failed")
            for thread in self._threads:
                thread.close()
            self._workers.close()
        return self._concluded(self._state.finish)

    def _turn(self) -> None:
        """Take in one event, or the passing of time."""
        try:
            event: _Input = self._inbox.get(timeout=self._patience())
        except queue.Empty:
            event = Tick()
        now = time.monotonic()
        if self._stop is not None and self._stop.is_set():
            event = Stop()
        if isinstance(event, Ready):
            self._unready.discard(event.name)
            if self._unready:
                return
            event = Synced()
        elif isinstance(event, Failed):
            self._failed(event)
            return
        elif isinstance(event, _Crashed):
            raise event.error
        self._unsynced(now)
        self._perform(step(self._state, event, now))
        if now >= self._next_progress:
            self._progress(now)

    def _patience(self) -> float:
        """How long to wait: until the machine or the listener wants a turn, and short enough to see `stop`."""
        now = time.monotonic()
        until = min(self._state.wake() or self._next_progress, self._next_progress)
        return max(0.0, min(until - now, 0.25 if self._stop else _PROGRESS))

    def _failed(self, event: Failed) -> None:
        self._last_failure = event.error
        if event.fatal:
            raise event.error
        self._note(DrainEvent("watch-failed", "", f"{event.name}: {event.error}"))

    def _unsynced(self, now: float) -> None:
        state = self._state
        if state.phase == "sync" and now > state.started + min(_SYNC_LIMIT, state.settings.total_timeout):
            missing = ", ".join(sorted(self._unready))
            raise ClusterUnreachableError(
                f"could not list {missing} within {now - state.started:.0f} s; nothing was changed. "
                f"Last error: {self._last_failure or 'none, the lists are still being read'}"
            )

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            self._announcer.saw(action)
            match action:
                case AskGuard():
                    self._guard()
                case AskInstance() | AskCommand() | LeaveBalancers():
                    self._ask(action)
                case Remember(ready):
                    if self._remember is not None:
                        self._remember(ready)
                case Say(kind, node, message):
                    self._note(DrainEvent(kind, node, message))
                case Finish(outcome, message):
                    self._note(DrainEvent(outcome, "", message))
                case _:
                    self._write(action)

    def _write(self, action: Evict | Surge | NodeAction) -> None:
        nodes, owner = self._state.world.nodes, self._state.nodes.owner
        match action:
            case Evict():
                self._send(eviction.evict, self._client, action)
            case Surge():
                self._send(deployments.surge, self._client, action)
            case TaintNode(name):
                self._send(eviction.taint, self._client, nodes[name])
            case ReleaseNode(name):
                self._send(out_of_service.release, self._client, nodes[name], owner)
            case RestoreNode(name):
                self._send(out_of_service.restore, self._client, nodes[name])
            case CordonNode(name):
                self._send(eviction.cordon, self._client, nodes[name], owner)
            case LabelNode(name, quarantined):
                self._send(partial(eviction.label, quarantined=quarantined), self._client, name)

    def _send(self, write: Callable[..., Event | Iterable[BalancersSeen]], *arguments: Any) -> None:
        def task() -> None:
            try:
                answer = write(*arguments)
                for event in answer if isinstance(answer, Iterable) else [answer]:
                    self._inbox.put(event)
            except Exception as error:  # noqa: BLE001 -- a lost answer would look like a hang: the loop raises it
                self._inbox.put(_Crashed(error))

        self._workers.do(task)

    def _guard(self) -> None:
        try:
            self._before_batch(self._state.world.view())
        except NotYet:
            self._inbox.put(GuardLater())
        else:
            self._inbox.put(GuardPassed())

    def _ask(self, action: AskInstance | AskCommand | LeaveBalancers) -> None:
        """Have one of the caller's functions answer; an action that it gave none for is left out."""
        nodes = self._state.world.nodes
        match action:
            case AskInstance(name) if self._instances is not None:
                self._send(_instance, self._instances, nodes[name])
            case AskCommand() if self._command is not None:
                self._send(self._command, action, self._over)
            case LeaveBalancers(names) if self._leave is not None:
                self._send(self._leave, [nodes[name] for name in names])

    def _note(self, event: DrainEvent) -> None:
        now = time.monotonic()
        self._events.append((now, event))
        self._progress(now, event.message)

    def _progress(self, now: float, message: str = "") -> None:
        state = self._state
        blocked = [] if state.finish else self._blocked(now)
        self._announcer.blocked(blocked)
        self._next_progress = now + _PROGRESS
        progress = progress_of(state, now, blocked, message)
        self._noter.saw(progress)
        self._listen(progress)

    def _blocked(self, now: float) -> list[Diagnosis]:
        """Diagnoses, made anew at most every second: in a large cluster they cost more than deciding does."""
        if now >= self._diagnose_at:
            found = self._state.blocked(now, after=_PROGRESS)
            self._diagnoses = dated(found, self._diagnoses, now + self._state.wall_offset)
            self._diagnose_at = now + max(1.0, _DIAGNOSIS_SHARE * (time.monotonic() - now))
        return self._diagnoses

    def _report(self, failure: str = "") -> DrainReport:
        calls: dict[str, dict[str, int]] = {}
        for verb, codes in self._client.api_calls.items():
            before = self._calls_before.get(verb, {})
            added = {code: number - before.get(code, 0) for code, number in codes.items()}
            calls[verb] = {code: number for code, number in added.items() if number}
        return make_report(
            self._state,
            time.monotonic(),
            failure=failure,
            events=self._events,
            api_calls={verb: codes for verb, codes in calls.items() if codes},
        )

    def _concluded(self, finish: Finish | None) -> DrainReport:
        report = self._report()
        if finish is None or finish.outcome == "drained":
            return report
        if finish.outcome == "denied":
            raise _with_report(AccessDeniedError(finish.message), report)
        raise _with_report(DrainBlockedError(explained(finish, report)), report)


def _instance(ask: Callable[[NodeView], str], node: NodeView) -> InstanceSeen:
    try:
        return InstanceSeen(node.name, ask(node))
    except NodePoolsError:
        return InstanceSeen(node.name, "")  # asked again soon; the drain does not depend on it


def _with_report(error: NodePoolsError, report: DrainReport) -> NodePoolsError:
    """Whoever catches it wants to know how far the drain came."""
    error.report = report  # type: ignore[attr-defined]
    return error
