"""Draining one version on behalf of the engine's delete: proofs and guards first, then the freeze, then the drain.

Every step before the freeze only reads. The engine room (cluster.drainer) does the evictions.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pulumi_nodepools import expiry
from pulumi_nodepools import report as report_files
from pulumi_nodepools.aws import groups
from pulumi_nodepools.aws import rights as aws_rights
from pulumi_nodepools.aws.groups import GroupView
from pulumi_nodepools.aws.leaving import Leaving
from pulumi_nodepools.cluster import attach_limits, preflight, rights
from pulumi_nodepools.cluster.asking import patiently
from pulumi_nodepools.cluster.client import list_nodes
from pulumi_nodepools.cluster.drainer import Leave, NotYet, drain
from pulumi_nodepools.cluster.exclusion import label_only
from pulumi_nodepools.cluster.lease import LeaseHolder
from pulumi_nodepools.cluster.record import PoolRecord, Record
from pulumi_nodepools.cluster.turns import turn
from pulumi_nodepools.drain.acknowledge import REASONS
from pulumi_nodepools.drain.model import NodeView, Progress, WorldView
from pulumi_nodepools.drain.pace import status_line
from pulumi_nodepools.drain.preflight import standing
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import DrainBlockedError, HeldError, IdentityError, NodePoolsError
from pulumi_nodepools.hooks import freezing, guards
from pulumi_nodepools.hooks.batch_command import command_of
from pulumi_nodepools.hooks.evidence import instance_of
from pulumi_nodepools.hooks.following import follow
from pulumi_nodepools.hooks.leaving import leave
from pulumi_nodepools.hooks.members import Members, Membership, resolve
from pulumi_nodepools.hooks.place import Place, PlaceProps, open_place
from pulumi_nodepools.hooks.progress import Engine, Watch
from pulumi_nodepools.hooks.provider import plain
from pulumi_nodepools.hooks.skip import way_past
from pulumi_nodepools.units import counted

SETTLE_SECONDS = 60.0
"""How long instances may take to join or to go before their doubt becomes a refusal."""
_SETTLE_BEAT = 2.0
_NAMED = 10
_INTERRUPTED = (
    "one ^C lets the drain end; a second one, or a kill, leaves nodes cordoned, groups frozen and pods that did not "
    "move where they are, and the next `pulumi up` goes on from there"
)
_LINE_SECONDS = 0.2
"""A drain of hundreds of pods has more to tell than a terminal can show."""


def drain_version(props: Mapping[str, Any], engine: Engine) -> None:
    """Return once no workload is left on the version's nodes; any doubt raises and leaves what is left untouched."""
    place = open_place(PlaceProps.read(props))
    settings = DrainSettings.from_props(plain(props.get("drain") or {}))
    record = PoolRecord(place.client, place.props.pool)
    stop = threading.Event()
    with engine.watched(stop) as watch, record.hold(stop=stop) as lease:
        Drain(place, settings, record, engine, stop, watch, lease).run()


@dataclass
class Drain:
    """One version's drain, by whoever holds the pool."""

    place: Place
    settings: DrainSettings
    record: PoolRecord
    engine: Engine
    stop: threading.Event
    watch: Watch
    lease: LeaseHolder
    views: list[GroupView] = field(default_factory=list)
    members: Members = field(default_factory=lambda: Members((), frozenset(), frozenset(), ()))
    told: set[tuple[str, str]] = field(default_factory=set)
    drained: set[str] = field(default_factory=set)
    """Names of the nodes that a drain was given."""
    frozen: bool = False
    grown: float | None = None
    """Until when nodes are waited for that take the place of those that came meanwhile."""
    said: tuple[str, float] = ("", 0.0)
    turn: LeaseHolder | None = None
    waited_for: str = ""
    batches: int = 0

    def run(self) -> None:
        """Return once the version's nodes are empty, those that came meanwhile included."""
        props = self.place.props
        self.lease.check()
        self._settle()
        if not self.members.nodes:
            self._finish(f"{props.title}: no nodes left, nothing to drain")
            return
        guards.refuse_serving(props.pool, props.version, self.record.load().serving)
        self._require_rights()
        with turn(
            self.place.client,
            props.title,
            stop=self.stop,
            limit=self.settings.total_timeout,
            waits=self._waits,
            order=self.settings.pool_order,
        ) as self.turn:
            self._settle()  # anew: it may have waited for hours
            while set(self.members.nodes) - self.drained:
                self._drain()
                self._settle()
            self._finish(f"{props.title}: {counted(len(self.members.nodes), 'node')} drained")

    def _drain(self) -> None:
        props = self.place.props
        self.drained.update(self.members.nodes)
        self.frozen = False
        try:
            report = drain(
                self.place.client,
                nodes=self._ours,
                settings=self.settings,
                owner=props.owner,
                before_batch=self._before_batch,
                listen=self._listen,
                stop=self.stop,
                records=[self.record],
                instances=self._instance if self.place.session else None,
                leave=self._leave(),
                command=command_of(self.settings, props.pool, props.version),
                behind=self.record.load().behind.get(props.version),
                remember=self._begin_batch,
            )
        except NodePoolsError as error:
            stopped = getattr(error, "report", None)
            self._save(stopped)
            if isinstance(error, DrainBlockedError) and self._lost():
                raise HeldError(self._lost()) from error
            if isinstance(error, DrainBlockedError) and stopped:
                self._remember(stopped.behind)
            raise
        self._save(report)

    def _begin_batch(self, ready: Mapping[str, int]) -> None:
        self.batches += 1
        self._remember(ready, f"drain {self.place.props.version}: batch {self.batches}")

    def _remember(self, behind: Mapping[str, int], phase: str = "") -> None:
        """Whom this run leaves, or may leave, with fewer ready pods than before: no baseline for the next one."""
        version = self.place.props.version
        left = {version: behind} if behind else {}
        self.record.update(
            lambda now: replace(now, phase=phase or now.phase, behind={**_without(now.behind, version), **left})
        )

    def _lost(self) -> str:
        """Why nothing more may be started here; empty if it may."""
        return self.watch.gone or self.lease.lost or (self.turn.lost if self.turn else "")

    def _waits(self, other: str) -> None:
        props, line = self.place.props, f"{self.place.props.title}: waits for the drain of {other}"
        self.engine.status(props.urn, line)
        if other != self.waited_for:
            self.waited_for = other
            self.record.update(lambda now: replace(now, phase=f"drain {props.version}: waits for {other}"))
            self.engine.info(props.urn, f"{line}: one drain at a time runs in a cluster")

    def _require_rights(self) -> None:
        """In the cluster and in AWS, for all that follows: half-way is the wrong place to find one missing."""
        rights.require(self.place.client)
        session, settings = self.place.session, self.settings
        if session:
            arns = [view.arn for view in self.views]
            aws_rights.require(session, arns, balancers=settings.load_balancers == "deregister")
        props = self.place.props
        for late in expiry.warnings(session, props.access, settings.total_timeout, datetime.now(UTC)):
            self.engine.warn(props.urn, f"{props.title}: {late}")

    def _settle(self) -> None:
        """Wait until every instance has its Node or is gone; IdentityError names those that stay in doubt."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            self._resolve()
            if not self.members.doubts:
                return
            props = self.place.props
            named = "; ".join(self.members.doubts[:_NAMED])
            more = f"; and {len(self.members.doubts) - _NAMED} more" if len(self.members.doubts) > _NAMED else ""
            if time.monotonic() >= deadline:
                raise IdentityError(
                    f"{props.title}: {named}{more}. Whether pods run there cannot be told, so nothing was touched. "
                    f"Check that {props.access.describe()} and region {props.region} are those of the pool; terminate "
                    "or repair what is named, and run `pulumi up` again"
                )
            self.engine.status(props.urn, f"{props.title}: waiting: {named}")
            if self.stop.wait(_SETTLE_BEAT):
                raise HeldError(self._lost())

    def _resolve(self) -> None:
        props = self.place.props
        found = self._describe()
        self.views = list(found.values())
        missing = [group.name for group in props.groups if group.name not in found]
        member = replace(Membership.of(props.pool, props.version, self.views), selector=props.selector)
        nodes = [node for node in patiently(lambda: list_nodes(self.place.client)) if member.includes_raw(node)]
        ids = {instance.id for view in self.views for instance in view.instances} | {
            instance_of(node) for node in nodes
        }
        session = self.place.session
        states = groups.instance_states(session, sorted(ids - {""})) if session else {}
        self.members = resolve(self.views, missing, nodes, states)

    def _describe(self) -> dict[str, GroupView]:
        props, session = self.place.props, self.place.session
        if session is None:
            return {}
        found = groups.describe(session, [group.name for group in props.groups])
        for group in props.groups:
            view = found.get(group.name)
            if view and group.arn and view.arn != group.arn:
                raise IdentityError(
                    f"{props.title}: group {group.name} is {view.arn}, but {group.arn} was recorded: it was made anew "
                    "outside this stack. Nothing was touched. Import or delete that group, then run `pulumi up` again"
                )
        return found

    def _ours(self, node: NodeView) -> bool:
        props = self.place.props
        member = Membership(props.pool, props.version, self.members.instances, props.selector)
        return node.name not in self.members.dead and member.includes(node)

    def _leave(self) -> Leave:
        client, session, settings = self.place.client, self.place.session, self.settings
        if session is None or settings.load_balancers == "label":
            return partial(label_only, client)
        return partial(leave, client, Leaving(session, settings.nlb_settle), self._going)

    def _going(self) -> frozenset[str] | None:
        """All instances of the version; None if no version serves, so that none takes over."""
        return self.members.instances if self.record.load().serving else None

    def _instance(self, node: NodeView) -> str:
        """EC2's state of the instance behind a node; empty without a provider ID."""
        session, instance = self.place.session, node.provider_id.rsplit("/", 1)[-1]
        return groups.instance_states(session, [instance])[instance] if session and instance else ""

    def _before_batch(self, world: WorldView) -> None:
        props = self.place.props
        if self.watch.gone:
            raise HeldError(self.watch.gone)
        self.lease.check()
        if self.turn:
            self.turn.check()
        record = self.record.load()
        serving = record.serving
        guards.refuse_serving(props.pool, props.version, serving)
        self._follow(world, standing := self._serving(record))
        guards.require_count(world, self._ours, self.settings, standing)
        room = attach_limits.seen(self.place.client, world, self._ours, self._unlimited)
        guards.require_room(room, self._ours, self.settings, otherwise=way_past(props.cluster, props.owner))
        if not self.frozen:
            self._preflight(world)
            self._freeze(serving)
            self.frozen = True
        self.drained.update(node.name for node in world.nodes if self._ours(node))

    def _follow(self, world: WorldView, serving: Membership | None) -> None:
        """Wait for a serving version that has to grow first; NotYet while it does."""
        lacking, session = guards.lacking(world, self._ours, self.settings, serving), self.place.session
        if not lacking or session is None:
            self.grown = None
            return
        leaving = sum(map(self._ours, world.nodes))
        if self.grown is None and follow(session, self.record, self.views, leaving):
            self.grown = time.monotonic() + self.settings.node_timeout
        if self.grown is not None and time.monotonic() < self.grown:
            props = self.place.props
            self.engine.status(
                props.urn, f"{props.title}: {leaving} nodes are to leave, waiting for {lacking} more to serve"
            )
            raise NotYet

    def _serving(self, record: Record) -> Membership | None:
        if record.serving is None:
            return None
        session = self.place.session
        views = groups.describe(session, record.serving_groups).values() if session else ()
        return Membership.of(record.pool, record.serving, views)

    def _preflight(self, world: WorldView) -> None:
        """Refuse what nobody can accept; warn of the rest, which `up` has refused unless today's YAML accepts it.

        The settings here are those of the version's own time: what was acknowledged since is not among them.
        """
        props = self.place.props
        findings = preflight.judge(world, self._ours, self.settings)
        preflight.refuse([one for one in findings if one.reason not in REASONS], props.title)
        for one in standing(findings):
            self.engine.warn(props.urn, f"{props.title}: {one}")

    def _freeze(self, serving: str | None) -> None:
        props, session = self.place.props, self.place.session
        self._resolve()  # it may have waited, and the groups may have been scaled
        self.record.update(lambda now: replace(now, phase=f"drain {props.version}"))
        if session is not None:
            freezing.freeze(session, self.record, props.version, self.views)
            serving_groups = self.record.load().serving_groups
            if serving and serving_groups:
                floor = groups.describe(session, serving_groups).values()
                freezing.hold_floor(session, self.record, serving, floor)
        names = ", ".join(view.name for view in self.views)
        held = f"{names or 'no group'} frozen at {counted(len(self.members.nodes), 'node')}"
        self.engine.info(props.urn, f"{props.title}: {held}; {_INTERRUPTED}")

    def _listen(self, progress: Progress) -> None:
        props = self.place.props
        for diagnosis in progress.blocked:
            self._warn_once((diagnosis.reason, diagnosis.object), str(diagnosis))
        line, now = status_line(progress), time.monotonic()
        if line != self.said[0] and now - self.said[1] > _LINE_SECONDS:
            self.said = line, now
            self.engine.status(props.urn, f"{line} of {props.title}")

    def _warn_once(self, key: tuple[str, str], message: str) -> None:
        if key not in self.told:
            self.told.add(key)
            self.engine.warn(self.place.props.urn, message)

    def _unlimited(self, message: str) -> None:
        self._warn_once(("attach-limits", ""), f"{self.place.props.title}: {message}")

    def _finish(self, message: str) -> None:
        props, session = self.place.props, self.place.session
        self.lease.check()
        serving = self.record.load().serving
        if session and serving and serving != props.version:
            freezing.release_floor(session, self.record, serving)
        self.record.update(
            lambda now: replace(now, phase=f"drained {props.version}", behind=_without(now.behind, props.version))
        )
        self.engine.info(props.urn, message)

    def _save(self, report: Any) -> None:
        if report is not None:
            props = self.place.props
            body = {"cluster": props.cluster, "pool": props.pool, "version": props.version, **report.to_json()}
            report_files.save_if_wanted(f"{props.pool}-{props.version}", body)


def _without(behind: Mapping[str, Mapping[str, int]], version: str) -> dict[str, Mapping[str, int]]:
    return {other: had for other, had in behind.items() if other != version}
