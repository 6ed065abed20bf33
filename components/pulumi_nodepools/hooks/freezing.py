"""Freezing and thawing groups, with what they were before kept in the pool's record.

The record is written before AWS is called and erased after AWS was restored: a run killed in between repeats the call,
and never takes a frozen size for the group's own.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from pulumi_nodepools.aws import groups
from pulumi_nodepools.aws.groups import FROZEN_PROCESSES, GroupView
from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.cluster.record import Frozen, PoolRecord, Record


def freeze(session: Session, record: PoolRecord, version: str, views: Iterable[GroupView]) -> None:
    """Pin each group at its live size and suspend what would change its members."""
    views = list(views)
    _remember(record, version, views, FROZEN_PROCESSES)
    for view in views:
        groups.freeze(session, view)


def stop_launches(session: Session, record: PoolRecord, version: str, views: Iterable[GroupView]) -> None:
    """Suspend Launch on groups whose launches keep failing."""
    views = list(views)
    _remember(record, version, views, ("Launch",))
    for view in views:
        groups.suspend_launch(session, view.name)


def hold_floor(session: Session, record: PoolRecord, version: str, views: Iterable[GroupView]) -> None:
    """Keep groups from shrinking below their live size; they may still grow."""
    views = [view for view in views if view.min < view.desired]
    _remember(record, version, views, ())
    for view in views:
        groups.resize(session, view.name, minimum=view.desired, maximum=view.max)


def empty(session: Session, views: Iterable[GroupView], drained: Collection[str]) -> None:
    """Let frozen groups go to 0 by the names of their drained instances: AWS has nothing to choose, and protects none.

    What they were stays in the record, so that a thaw brings them back.
    """
    for view in views:
        going = [one.id for one in view.instances if one.id in drained and not one.leaving]
        groups.resize(session, view.name, minimum=0, maximum=view.max)
        for instance in going:
            groups.terminate(session, instance)
        if len(view.instances) <= len(going) < view.desired:
            groups.scale(session, view.name, 0)  # the rest was never launched
        if all(one.leaving or one.id in drained for one in view.instances):
            # As a second run, of one that was killed here, would leave it.
            groups.resize(session, view.name, minimum=0, maximum=0)


def thaw(
    session: Session, record: PoolRecord, version: str, limits: Mapping[str, tuple[int, int]] | None = None
) -> list[str]:
    """Undo whatever the record says was done to the version's groups; the names of those that were changed back.

    `limits` are the (min, max) that the stack's program has for a group now, which it may have changed meanwhile.
    """
    mine = {name: was for name, was in record.load().frozen.items() if was.version == version}
    views = groups.describe(session, sorted(mine))
    thawed = []
    for name, was in mine.items():
        view = views.get(name)
        # A group of the same name with another ARN is a later one: its limits are its own.
        if view and was.arn == view.arn:
            least, most = (limits or {}).get(name, (was.min, was.max))
            groups.thaw(session, name, minimum=least, maximum=max(most, view.desired), processes=was.suspended)
            thawed.append(name)
    if mine:
        record.update(lambda now: replace(now, frozen=_without(now.frozen, mine)))
    return thawed


def prune(session: Session, record: PoolRecord) -> None:
    """Forget groups that no longer exist, or exist anew under their name."""
    known = record.load().frozen
    views = groups.describe(session, sorted(known))
    gone = [name for name, was in known.items() if name not in views or views[name].arn != was.arn]
    if gone:
        record.update(lambda now: replace(now, frozen=_without(now.frozen, gone)))


def release_floor(session: Session, record: PoolRecord, version: str) -> None:
    """Give the serving version its own minimum back once nothing moves onto it any more."""
    thaw(session, record, version)


def _remember(record: PoolRecord, version: str, views: Iterable[GroupView], processes: Iterable[str]) -> None:
    views = list(views)
    if views:
        record.update(lambda now: _with(now, version, views, tuple(processes)))


def _with(record: Record, version: str, views: Iterable[GroupView], processes: tuple[str, ...]) -> Record:
    frozen = dict(record.frozen)
    for view in views:
        was = frozen.get(view.name)
        if was is None or was.arn != view.arn:
            was = Frozen(view.arn, version, view.min, view.max, view.desired)
        ours = {*was.suspended, *(name for name in processes if name not in view.suspended)}
        frozen[view.name] = replace(was, version=version, suspended=tuple(sorted(ours)))
    return replace(record, frozen=frozen)


def _without(frozen: Mapping[str, Frozen], names: Iterable[str]) -> dict[str, Frozen]:
    return {name: was for name, was in frozen.items() if name not in set(names)}
