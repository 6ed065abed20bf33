"""Taking the active version into service and the other listed ones out of it, on behalf of the engine's cutover.

The gate has proved the version just before. Versions that are no longer listed are not looked at: their drain hooks
run when the engine deletes them. How one version is drained is draining.py's.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pulumi_nodepools.aws import groups
from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.cluster import attach_limits
from pulumi_nodepools.cluster.asking import patiently
from pulumi_nodepools.cluster.client import list_nodes
from pulumi_nodepools.cluster.lease import LeaseHolder
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.cluster.snapshot import look
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import CapacityError, ConfigError, GateError
from pulumi_nodepools.hooks import freezing, guards
from pulumi_nodepools.hooks.draining import Drain
from pulumi_nodepools.hooks.evidence import is_ready
from pulumi_nodepools.hooks.members import Membership
from pulumi_nodepools.hooks.place import GroupRef, Place, PlaceProps, open_place
from pulumi_nodepools.hooks.progress import Engine, Watch
from pulumi_nodepools.hooks.provider import decoded, plain


@dataclass(frozen=True)
class Other:
    """A listed version that is not to serve."""

    version: str
    state: str
    groups: tuple[GroupRef, ...]


@dataclass(frozen=True)
class CutoverProps:
    """`proved` is the version that the pool's gate has passed; `others` stand by or are retired."""

    place: PlaceProps
    proved: str
    others: tuple[Other, ...]
    settings: DrainSettings
    replica: Mapping[str, Any]

    @classmethod
    @decoded
    def read(cls, props: Mapping[str, Any]) -> "CutoverProps":
        """Decode; ConfigError if there is nothing to cut over to."""
        place = PlaceProps.read(props)
        if not place.groups:
            raise ConfigError(f"the cutover of pool {place.pool} names no Auto Scaling group; nothing was changed")
        others = tuple(
            Other(
                str(raw["version"]),
                str(raw.get("state") or "standby"),
                tuple(GroupRef(str(group["name"]), str(group.get("arn") or "")) for group in raw.get("groups") or ()),
            )
            for raw in props.get("others") or ()
        )
        return cls(
            place,
            str(props.get("proved") or ""),
            others,
            DrainSettings.from_props(plain(props.get("drain") or {})),
            props.get("replica") or {},
        )


def cut_over(props: Mapping[str, Any], engine: Engine) -> None:
    """Return once the active version serves and every other listed one is drained and in its state."""
    wanted = CutoverProps.read(plain(dict(props)))
    place = wanted.place
    if wanted.proved != place.version:
        raise GateError(
            f"{place.title} is to serve, but the readiness gate of pool {place.pool} has proved "
            f"{wanted.proved or 'no version'}: it was left out of this run. Nothing was changed. Run `pulumi up` "
            "without --target and --exclude"
        )
    opened = open_place(place)
    assert opened.session is not None
    record = PoolRecord(opened.client, place.pool)
    stop = threading.Event()
    with engine.watched(stop) as watch, record.hold(stop=stop) as lease:
        _Cutover(wanted, opened, opened.session, record, engine, stop, watch, lease).run()


def clear_serving(props: Mapping[str, Any], engine: Engine) -> None:
    """The pool goes: no version of it serves any more, so its last one may be drained."""
    wanted = PlaceProps.read(props)
    record = PoolRecord(open_place(wanted).client, wanted.pool)
    stop = threading.Event()
    with engine.watched(stop), record.hold(stop=stop) as lease:
        lease.check()
        record.update(
            lambda now: replace(
                now, serving=None, serving_groups=(), pending="", states={}, phase="removing", behind={}
            )
        )


@dataclass
class _Cutover:
    wanted: CutoverProps
    place: Place
    session: Session
    record: PoolRecord
    engine: Engine
    stop: threading.Event
    watch: Watch
    lease: LeaseHolder

    def run(self) -> None:
        self.lease.check()
        self._serve()
        for other in self.wanted.others:
            self._stand_down(other)
        self._conclude()

    def _serve(self) -> None:
        """From here on the others are the ones that may be drained. Refused while it would cost ready nodes."""
        props, before = self.place.props, self.record.load()
        names = [group.name for group in props.groups]
        if before.serving not in {None, props.version}:
            ready, had = self._usable(props.version, names), self._usable(before.serving, before.serving_groups)
            if ready < had:
                raise CapacityError(
                    f"{props.title} has {ready} ready and schedulable nodes, {props.pool} {before.serving}, which "
                    f"serves, has {had}: capacity would fall. Nothing was drained. Run `pulumi up` again: the gate "
                    "brings it to as many nodes first"
                )
            self._require_room(before.serving, before.serving_groups)
        self.record.update(
            lambda now: replace(
                now,
                serving=props.version,
                serving_groups=tuple(names),
                pending=props.version,
                replica=self.wanted.replica,
                phase=f"cutover {props.version}",
            )
        )
        self.engine.info(props.urn, f"{props.title} serves now")

    def _require_room(self, version: str, names: Sequence[str]) -> None:
        """The pods of the version that serves must fit outside of it, their volumes' zones included, or it goes on."""
        member = Membership.of(self.place.props.pool, version, groups.describe(self.session, names).values())
        client, tell = self.place.client, partial(self.engine.warn, self.place.props.urn)
        world = attach_limits.seen(client, patiently(lambda: look(client)), member.includes, tell)
        guards.require_room(world, member.includes, self.wanted.settings)

    def _usable(self, version: str, names: Sequence[str]) -> int:
        member = Membership.of(self.place.props.pool, version, groups.describe(self.session, names).values())
        return sum(
            is_ready(node) and not node["spec"].get("unschedulable")
            for node in patiently(lambda: list_nodes(self.place.client))
            if member.includes_raw(node)
        )

    def _stand_down(self, other: Other) -> None:
        """Drain the version, keep its groups frozen, and let them go to 0 if it is retired."""
        props = replace(self.place.props, version=other.version, groups=other.groups)
        place = replace(self.place, props=props)
        drain = Drain(place, self.wanted.settings, self.record, self.engine, self.stop, self.watch, self.lease)
        drain.run()
        self.lease.check()
        # A version without nodes was not frozen by its drain, and must not start any while it stands by.
        names = [group.name for group in other.groups]
        freezing.freeze(self.session, self.record, other.version, groups.describe(self.session, names).values())
        if other.state == "retired":
            views = groups.describe(self.session, names).values()
            freezing.empty(self.session, views, drain.members.instances)
            self.engine.info(props.urn, f"{props.title}: retired, its groups are at 0")

    def _conclude(self) -> None:
        self.lease.check()
        version = self.place.props.version
        freezing.release_floor(self.session, self.record, version)
        states = {version: "active", **{other.version: other.state for other in self.wanted.others}}
        self.record.update(lambda now: replace(now, pending="", states=states, phase="serving", behind={}))
