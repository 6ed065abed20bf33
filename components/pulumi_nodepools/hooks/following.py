"""The serving version grows with the one that leaves, if somebody scaled that one since the gate looked.

Only asks for more nodes; whether enough of them are ready is guards.py's to say, before every batch.
"""

from collections.abc import Sequence

from pulumi_nodepools.aws import groups
from pulumi_nodepools.aws.groups import GroupView
from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.errors import CapacityError
from pulumi_nodepools.hooks import freezing
from pulumi_nodepools.hooks.evidence import top_up


def follow(session: Session, record: PoolRecord, leaving: Sequence[GroupView], nodes: int) -> bool:
    """Let the serving groups be no smaller than the `nodes` that leave; whether some of theirs are on their way.

    CapacityError if their limits do not allow it.
    """
    known = record.load()
    views = list(groups.describe(session, known.serving_groups).values())
    if known.serving is None or not views:
        return False
    sizes = top_up(views, nodes, groups.zones_of(leaving))
    reached = sum(sizes.get(view.name, view.desired) for view in views)
    if reached < nodes:
        raise CapacityError(
            f"{known.pool} {known.serving}, the version that serves, may have at most {reached} nodes (size.max), but "
            f"{nodes} nodes are to be drained: they were scaled up meanwhile. No node was touched now. Raise size.max "
            "and run `pulumi up` again"
        )
    for name, size in sizes.items():
        groups.scale(session, name, size)
    grown = groups.describe(session, sorted(sizes)).values() if sizes else ()
    freezing.hold_floor(session, record, known.serving, grown)
    pending = any(one.lifecycle.startswith("Pending") for view in views for one in view.instances)
    return bool(sizes) or pending
