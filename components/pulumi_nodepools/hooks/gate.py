"""Waiting for a new version to be ready, and stopping a version that never will be.

Polls, since Auto Scaling offers no watch. Changes nothing but the version's own groups, its nodes' cordons (a rollback)
and the pool's record. Which nodes are good is evidence.py's to say.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pulumi_nodepools.aws import groups
from pulumi_nodepools.aws.groups import FailedLaunch, GroupView
from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.cluster.asking import patiently
from pulumi_nodepools.cluster.client import Client, items, list_nodes
from pulumi_nodepools.cluster.drainer import uncordon
from pulumi_nodepools.cluster.lease import LeaseHolder
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.errors import ApiError, AwsError, ClusterUnreachableError, ConfigError, GateError, HeldError
from pulumi_nodepools.hooks import freezing
from pulumi_nodepools.hooks.as_written import Written, departures
from pulumi_nodepools.hooks.baseline import broken_daemon_sets
from pulumi_nodepools.hooks.evidence import (
    DaemonSet,
    Verdict,
    Wanted,
    daemon_set_of,
    instance_of,
    judge,
    top_up,
)
from pulumi_nodepools.hooks.leaving import come_back
from pulumi_nodepools.hooks.members import Membership
from pulumi_nodepools.hooks.place import PlaceProps, open_place
from pulumi_nodepools.hooks.progress import Engine, Watch
from pulumi_nodepools.hooks.provider import decoded, plain

_NAMED = 10
"""Instances named in an error; the rest is counted."""


@dataclass(frozen=True)
class GateProps:
    """What the gate waits for and for how long (seconds)."""

    place: PlaceProps
    wanted: Wanted
    timeout: float
    consecutive: int
    interval: float
    canary: bool
    """A canary never serves: it is as large as the stack says, and no cutover follows."""
    limits: Mapping[str, tuple[int, int]]
    """The (min, max) of each group as the program has them."""
    written: Written

    @classmethod
    @decoded
    def read(cls, props: Mapping[str, Any]) -> "GateProps":
        """Decode; ConfigError if the gate could not tell which nodes it waits for."""
        place = PlaceProps.read(props)
        if not place.groups:
            raise ConfigError(f"the gate of pool {place.pool} names no Auto Scaling group; nothing could be waited for")
        wanted = Wanted(
            place.pool,
            place.version,
            str(props.get("minimumKernelVersion") or ""),
            tuple(props.get("kernelArguments") or ()),
            adopted=bool(props.get("adopted")),
        )
        return cls(
            place,
            wanted,
            float(props.get("timeout") or 1800),
            int(props.get("consecutive") or 3),
            float(props.get("interval") or 5),
            bool(props.get("canary")),
            {name: (int(least), int(most)) for name, (least, most) in (props.get("limits") or {}).items()},
            Written.read(props.get("written") or {}),
        )


def pass_gate(props: Mapping[str, Any], engine: Engine) -> None:
    """Return once the version is ready and proved; GateError says what it lacks."""
    gate = GateProps.read(plain(dict(props)))
    place = open_place(gate.place)
    assert place.session is not None
    record = PoolRecord(place.client, gate.place.pool)
    stop = threading.Event()
    with engine.watched(stop) as watch, record.hold(stop=stop) as lease:
        _Gate(gate, place.client, place.session, record, engine, stop, watch, lease).run()


@dataclass
class _Gate:
    gate: GateProps
    client: Client
    session: Session
    record: PoolRecord
    engine: Engine
    stop: threading.Event
    watch: Watch
    lease: LeaseHolder
    known: set[str] = field(default_factory=set)
    """Failed launches that an earlier run of this gate has judged."""
    as_written: set[str] = field(default_factory=set)
    """Instances that are made as the version is written."""
    broken: set[DaemonSet] = field(default_factory=set)
    """What served nobody before: new nodes are not asked for it."""
    refused: list[str] = field(default_factory=list)
    """The groups that lack an instance which EC2 last would not start, and why."""

    @property
    def names(self) -> list[str]:
        return [group.name for group in self.gate.place.groups]

    def run(self) -> None:
        self.lease.check()
        self._begin()
        deadline = time.monotonic() + self.gate.timeout
        good = 0
        verdict = Verdict(0, 0, {})
        trouble = ""
        while good < self.gate.consecutive:
            try:
                verdict, trouble = self._look(), ""
                good = good + 1 if verdict.good else 0
            except (ClusterUnreachableError, AwsError, ApiError) as error:
                # An API server that restarts or AWS throttling is no verdict on the nodes.
                good, trouble = 0, str(error)
            self._say(verdict, good, trouble)
            if good < self.gate.consecutive:
                self._pause(deadline, verdict, trouble)
        self._finish(verdict)

    def _begin(self) -> None:
        """Bring back what we froze or cordoned ourselves: a rollback, or a retry after stopped launches."""
        place = self.gate.place
        phase = f"gate {place.version}"
        again = self.record.load().phase == phase
        self.record.update(
            lambda now: replace(now, phase=phase, pending=now.pending if self.gate.canary else place.version)
        )
        if again:
            # Launches that failed before this retry were judged by the run before it.
            self.known = {failed.activity for name in self.names for failed in groups.activities(self.session, name)}
        thawed = freezing.thaw(self.session, self.record, place.version, self.gate.limits)
        views = list(groups.describe(self.session, self.names).values())
        self._look_back(views)
        member = Membership.of(place.pool, place.version, views)
        patiently(lambda: come_back(self.client, self.session, member.includes_raw, place.owner))
        freed = patiently(lambda: uncordon(self.client, member.includes, place.owner))
        if thawed or freed:
            self.engine.info(
                place.urn, f"{place.title}: groups {', '.join(thawed) or 'none'} thawed, {len(freed)} nodes uncordoned"
            )

    def _look_back(self, views: Sequence[GroupView]) -> None:
        """Note what was broken before the version came."""
        place = self.gate.place
        self.broken = patiently(lambda: broken_daemon_sets(self.client, _names(list_nodes(self.client), views)))
        for space, name in sorted(self.broken):
            told = f"DaemonSet {space}/{name} has no ready pod on any node, so new nodes are not asked for it"
            self.engine.warn(place.urn, f"{place.title}: {told}")

    def _look(self) -> Verdict:
        views = self._topped_up(self._views())
        self._stop_hopeless(views)
        self._require_as_written(views)
        nodes = list_nodes(self.client)
        verdict = judge(views, nodes, (), self.gate.wanted)
        if not verdict.good:
            return verdict
        pods = [pod for pod in _pods_on(self.client, _names(nodes, views)) if daemon_set_of(pod) not in self.broken]
        return judge(views, nodes, pods, self.gate.wanted)

    def _require_as_written(self, views: Sequence[GroupView]) -> None:
        """Refuse what is not made as the version is written: no waiting changes an instance."""
        if self.gate.wanted.adopted:
            return
        fresh = sorted({one.id for view in views for one in view.instances} - self.as_written)
        machines = groups.machines(self.session, fresh) if fresh else {}
        if found := departures(views, machines, self.gate.written):
            named = "; ".join(f"{instance} has {told}" for instance, told in [*found.items()][:_NAMED])
            raise GateError(
                f"{self.gate.place.title} is immutable, but {len(found)} of its instances are not as it is written: "
                f"{named}. Its launch template or its group was changed outside of this stack; the version that serves "
                f"was not touched. Set {', '.join(self.names)} back to version 1 of its launch template and terminate "
                "these instances, or add a new version, then run `pulumi up` again"
            )
        self.as_written |= {*machines}

    def _views(self) -> list[GroupView]:
        found = groups.describe(self.session, self.names)
        missing = [name for name in self.names if name not in found]
        if missing:
            raise GateError(
                f"{self.gate.place.title}: Auto Scaling group {', '.join(missing)} does not exist in region "
                f"{self.gate.place.region}; run `pulumi refresh` and `pulumi up` to create it again"
            )
        return list(found.values())

    def _topped_up(self, views: list[GroupView]) -> list[GroupView]:
        """The groups, grown to what the serving version has *now*: it may have been scaled since the plan."""
        place, record = self.gate.place, self.record.load()
        if self.gate.canary or record.serving in {None, place.version}:
            return views
        serving = groups.describe(self.session, record.serving_groups).values()
        live = sum(view.desired for view in serving)
        sizes = top_up(views, live, groups.zones_of(serving))
        if sum(sizes.get(view.name, view.desired) for view in views) < live:
            raise GateError(
                f"{place.title} may have at most {sum(view.max for view in views)} nodes (size.max), but "
                f"{place.pool} {record.serving}, which serves, has {live} now; raise size.max, or scale the pool down, "
                "and run `pulumi up` again"
            )
        if sizes:
            self.lease.check()
            for name, size in sizes.items():
                groups.scale(self.session, name, size)
            grown = sum(sizes.get(view.name, view.desired) for view in views)
            self.engine.info(
                place.urn,
                f"{place.title}: grown to {grown} nodes, as {record.serving} has {live} now, in every zone of its own "
                "no fewer",
            )
            views = self._views()
        # Until it has workloads an autoscaler would take its nodes for spare ones. The cutover gives the minimum back.
        freezing.hold_floor(self.session, self.record, place.version, views)
        return views

    def _stop_hopeless(self, views: Sequence[GroupView]) -> None:
        """After max(2, N) failed launches more of them will not help: stop the relaunching and say why."""
        launches = {view: groups.activities(self.session, view.name) for view in views}
        # EC2 out of capacity is not the version's fault, and Auto Scaling goes on trying: named at the deadline.
        self.refused = [
            f"{view.name}: {reason}"
            for view, given_up in launches.items()
            if view.desired > sum(not one.leaving for one in view.instances)
            and (reason := next((one.reason for one in given_up if not one.instance), ""))
        ]
        failed = [one for given_up in launches.values() for one in given_up if one.instance]
        failed = [launch for launch in failed if launch.activity not in self.known]
        wanted = sum(view.desired for view in views)
        if len(failed) < max(2, wanted):
            return
        self.lease.check()
        place = self.gate.place
        freezing.stop_launches(self.session, self.record, place.version, views)
        failed = groups.explained(self.session, failed)
        serving = self.record.load().serving
        untouched = f"{place.pool} {serving} still serves and was not touched" if serving else "no version serves yet"
        raise GateError(
            f"{place.title}: {len(failed)} launches failed or were abandoned, {wanted} nodes are wanted: "
            f"{_launches(failed)}. Launch is now suspended on {', '.join(self.names)}; {untouched}. Next: see the "
            "console output of one of these instances; if the image or its arguments are at fault add a new version, "
            "if the cause was outside run `pulumi up` again: launches resume"
        )

    def _pause(self, deadline: float, verdict: Verdict, trouble: str) -> None:
        if time.monotonic() >= deadline:
            place = self.gate.place
            also = "".join(f"; {text}" for text in (*self.refused, trouble) if text)
            raise GateError(
                f"{place.title}: {verdict.ready} of {verdict.total} nodes ready after "
                f"{self.gate.timeout:.0f} s{_lacking(verdict)}{also}. The version that "
                "serves was not touched. Fix what is named, or raise the gate's timeout, and run `pulumi up` again"
            )
        if self.stop.wait(self.gate.interval):
            raise HeldError(self.watch.gone or self.lease.lost)

    def _say(self, verdict: Verdict, good: int, trouble: str) -> None:
        place = self.gate.place
        first = trouble or next((f"{name} {lack}" for name, lack in verdict.lacks.items()), "")
        more = f" (and {len(verdict.lacks) - 1} more)" if len(verdict.lacks) > 1 and not trouble else ""
        tail = f"; {first}{more}" if first else f"; good {good}/{self.gate.consecutive}"
        self.engine.status(place.urn, f"{verdict.ready}/{verdict.total} nodes of {place.title} ready{tail}")

    def _finish(self, verdict: Verdict) -> None:
        self.lease.check()
        freezing.prune(self.session, self.record)
        place = self.gate.place
        kind = "canary" if self.gate.canary else "gate"
        evidence = {"version": place.version, "nodes": verdict.ready, "minimumKernel": self.gate.wanted.minimum_kernel}
        self.record.update(
            lambda now: replace(now, phase=f"ready {place.version}", evidence={**now.evidence, kind: evidence})
        )
        self.engine.info(place.urn, f"{place.title}: {verdict.ready} nodes ready and proved")


def _names(nodes: Sequence[Any], views: Sequence[GroupView]) -> list[str]:
    """The nodes of the groups' instances."""
    ours = {entry.id for view in views for entry in view.instances}
    return [node["metadata"]["name"] for node in nodes if instance_of(node) in ours]


def _pods_on(client: Client, names: Sequence[str]) -> list[Any]:
    return [pod for name in names for pod in items(client, "/api/v1/pods", fieldSelector=f"spec.nodeName={name}")]


def _launches(failed: Sequence[FailedLaunch]) -> str:
    named = "; ".join(f"{launch.instance or 'no instance'}: {launch.reason}" for launch in failed[:_NAMED])
    if len(failed) <= _NAMED:
        return named
    kinds = Counter(launch.reason for launch in failed[_NAMED:])
    return f"{named}; and {len(failed) - _NAMED} more ({', '.join(f'{n} x {reason}' for reason, n in kinds.items())})"


def _lacking(verdict: Verdict) -> str:
    named = "; ".join(f"{name} {lack}" for name, lack in list(verdict.lacks.items())[:_NAMED])
    more = f"; and {len(verdict.lacks) - _NAMED} more" if len(verdict.lacks) > _NAMED else ""
    return f": {named}{more}" if named else ""
