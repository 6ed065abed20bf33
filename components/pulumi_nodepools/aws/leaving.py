"""Taking instances out of every target group that has them, and knowing when no traffic reaches them any more.

One object serves one drain: it remembers what it deregistered and when. How long to wait is the drain's business.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from pulumi_nodepools.aws import targets
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
    _since: dict[tuple[str, str], float] = field(default_factory=dict)
    """When each instance was deregistered, by ARN and instance."""

    def unready(self, instances: Sequence[str], going: Collection[str] | None) -> dict[str, list[str]]:
        """For each instance, the groups in which nobody outside of `going` takes over (None: nobody has to)."""
        fresh = [instance for instance in instances if instance not in self._in]
        if fresh:
            self._find(fresh)
        waiting: dict[str, list[str]] = {instance: [] for instance in instances}
        for arn in self._arns(instances) if going is not None else ():
            there = targets.registered(self.session, arn)
            reason = _no_successor(self.groups[arn].name, there, going or ())
            for target in there:
                if target.instance in waiting and target.state == "healthy" and reason:
                    waiting[target.instance].append(reason)
        return waiting

    def left(self, instances: Sequence[str]) -> dict[str, list[str]]:
        """Deregister each instance where it still is; what still sends it traffic, empty once nothing does."""
        waiting: dict[str, list[str]] = {instance: [] for instance in instances}
        for arn in self._arns(instances):
            group = self.groups[arn]
            mine = [target for target in targets.registered(self.session, arn) if target.instance in waiting]
            serving = [target for target in mine if target.state in _SERVES]
            if serving:
                targets.deregister(self.session, arn, serving)
                self._since.update(((arn, target.instance), self.clock()) for target in serving)
            busy = {target.instance: target.state for target in mine if target.state != "unused"}
            for instance in instances:
                reason = self._reason(group, instance, busy)
                if reason:
                    waiting[instance].append(reason)
        return waiting

    def allowance(self, instance: str) -> float:
        """Seconds that the groups of an instance take by themselves."""
        arns = self._in.get(instance, ())
        return max((self.delays[arn] + (self.settle if self.groups[arn].network else 0) for arn in arns), default=0.0)

    def _find(self, instances: Sequence[str]) -> None:
        found: dict[str, set[str]] = {instance: set() for instance in instances}
        for group in targets.instance_groups(self.session):
            here = {target.instance for target in targets.registered(self.session, group.arn)}.intersection(instances)
            if here:
                self.groups[group.arn] = group
                self.delays[group.arn] = targets.deregistration_delay(self.session, group.arn)
            for instance in here:
                found[instance].add(group.arn)
        self._in.update(found)  # only now: after a call that failed everything is looked for again

    def _arns(self, instances: Sequence[str]) -> list[str]:
        return sorted({arn for instance in instances for arn in self._in.get(instance, ())})

    def _reason(self, group: TargetGroup, instance: str, busy: dict[str, str]) -> str:
        if instance in busy:
            return f"target group {group.name}: {busy[instance]}"
        since = self._since.get((group.arn, instance))
        if since is None or not group.network:
            return ""
        left = since + self.settle - self.clock()
        return f"target group {group.name}: settles for {left:.0f} s" if left > 0 else ""


def _no_successor(name: str, there: Sequence[Target], going: Collection[str]) -> str:
    """Why a group cannot do without the instances that go, if it cannot."""
    others = [target for target in there if target.instance not in going and target.state != "draining"]
    healthy = sum(target.state == "healthy" for target in others)
    starting = sum(target.state == "initial" for target in others)
    if healthy and not starting:
        return ""
    return f"target group {name}: {healthy} targets outside this version are healthy, {starting} are starting"
