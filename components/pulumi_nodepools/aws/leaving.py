"""Taking instances out of every target group and Classic Load Balancer that has them, and knowing when that is done.

One object serves one drain: it remembers what it deregistered and when. How long to wait is the drain's business.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pulumi_nodepools.aws import classic, targets
from pulumi_nodepools.aws.rejoining import entry
from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.aws.targets import Target, TargetGroup

_SERVES = frozenset({"healthy", "unhealthy", "initial", "unavailable"})


@dataclass
class Leaving:
    """`settle` is how long a Network Load Balancer may send new connections after deregistration, in seconds."""

    session: Session
    settle: float
    clock: Callable[[], float] = time.monotonic
    groups: dict[str, TargetGroup] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)
    _in: dict[str, set[str]] = field(default_factory=dict)
    """ARNs of the groups that each instance is or was in."""
    _entries: dict[str, set[str]] = field(default_factory=dict)
    """Registrations of each instance as they were found."""
    _since: dict[tuple[str, str], float] = field(default_factory=dict)
    """When each instance was deregistered, by ARN and instance."""

    def unready(self, instances: Sequence[str], going: Collection[str] | None) -> dict[str, list[str]]:
        """For each instance, the groups in which nobody outside of `going` takes over (None: nobody has to).

        Where nodes are healthy by their own pods, those that do not leave yet take over: the new ones get pods only
        when these move.
        """
        fresh = [instance for instance in instances if instance not in self._in]
        if fresh:
            self._find(fresh)
        waiting: dict[str, list[str]] = {instance: [] for instance in instances}
        for arn in self._arns(instances) if going is not None else ():
            there, group = self._registered(arn), self.groups[arn]
            reason = _no_successor(group, there, instances if group.local else going or ())
            for target in there:
                if target.instance in waiting and target.state == "healthy" and reason:
                    waiting[target.instance].append(reason)
        return waiting

    def left(self, instances: Sequence[str]) -> dict[str, list[str]]:
        """Deregister each instance where it still is; what still sends it traffic, empty once nothing does."""
        waiting: dict[str, list[str]] = {instance: [] for instance in instances}
        for arn in self._arns(instances):
            group = self.groups[arn]
            mine = [target for target in self._registered(arn) if target.instance in waiting]
            serving = [target for target in mine if target.state in _SERVES]
            if serving:
                _api(group).deregister(self.session, arn, serving)
                self._since.update(((arn, target.instance), self.clock()) for target in serving)
            busy = {target.instance: target.state for target in mine if target.state != "unused"}
            for instance in instances:
                reason = self._reason(group, instance, busy)
                if reason:
                    waiting[instance].append(reason)
        return waiting

    def entries(self, instance: str) -> Collection[str]:
        """Where an instance was registered when it was first looked for: what brings it back, see aws.rejoining."""
        return self._entries.get(instance, ())

    def allowance(self, instance: str) -> float:
        """Seconds that the groups of an instance take by themselves."""
        arns = self._in.get(instance, ())
        return max((self.delays[arn] + (self.settle if self.groups[arn].network else 0) for arn in arns), default=0.0)

    def _find(self, instances: Sequence[str]) -> None:
        found: dict[str, set[str]] = {instance: set() for instance in instances}
        for group in [*targets.instance_groups(self.session), *classic.instance_groups(self.session)]:
            self.groups[group.arn] = group
            here = [target for target in self._registered(group.arn) if target.instance in found]
            if here:
                self.delays[group.arn] = _api(group).deregistration_delay(self.session, group.arn)
            for target in here:
                found[target.instance].add(group.arn)
                if target.state != "draining":
                    self._entries.setdefault(target.instance, set()).add(entry(group, target))
        self._in.update(found)  # only now: after a call that failed everything is looked for again

    def _registered(self, arn: str) -> list[Target]:
        return _api(self.groups[arn]).registered(self.session, arn)

    def _arns(self, instances: Sequence[str]) -> list[str]:
        return sorted({arn for instance in instances for arn in self._in.get(instance, ())})

    def _reason(self, group: TargetGroup, instance: str, busy: dict[str, str]) -> str:
        if instance in busy:
            return f"{group}: {busy[instance]}"
        since = self._since.get((group.arn, instance))
        if since is None:
            return ""
        # A Classic Load Balancer need not list what it drains.
        quiet = self.settle if group.network else self.delays[group.arn] if group.classic else 0.0
        left = since + quiet - self.clock()
        return f"{group}: settles for {left:.0f} s" if left > 0 else ""


def _no_successor(group: TargetGroup, there: Sequence[Target], going: Collection[str]) -> str:
    """Why a group cannot do without the instances that go, if it cannot."""
    others = [target for target in there if target.instance not in going and target.state != "draining"]
    healthy = sum(target.state == "healthy" for target in others)
    starting = sum(target.state == "initial" for target in others)
    if healthy and not starting:
        return ""
    outside = "this batch (it is healthy only where pods of its service are)" if group.local else "this version"
    return f"{group}: {healthy} targets outside {outside} are healthy, {starting} are starting"


class _Api(Protocol):
    """What aws.targets and aws.classic have in common."""

    def registered(self, session: Session, arn: str, /) -> list[Target]: ...

    def deregistration_delay(self, session: Session, arn: str, /) -> float: ...

    def deregister(self, session: Session, arn: str, targets: Iterable[Target], /) -> None: ...


def _api(group: TargetGroup) -> _Api:
    return classic if group.classic else targets
