"""What a running drain notes in its pool's record, for those who watch from elsewhere. Pure.

Part of the state contract. It has only what the cluster itself does not show, and its size is bounded.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pulumi_nodepools.drain.model import Diagnosis, NodeProgress, Progress

SCHEMA = 1
_NAMED = 50
"""Nodes that are named: 3 kB."""
_BLOCKED = 10
_TEXT = 300


class Held(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """What does not move; `since` in seconds since the epoch."""

    reason: str
    object: str
    node: str = ""
    message: str = ""
    fix: str = ""
    since: float = 0.0


class Note(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """One drain at one moment."""

    schema: int = SCHEMA
    owner: str
    """`<pool>/<version>`, as in the annotation of the nodes that it cordons."""
    holder: str
    """Its process, as in the Lease."""
    at: float
    """When this was noted, in seconds since the epoch."""
    phase: str
    outcome: str = ""
    """Empty while it runs."""
    nodes_done: int
    nodes_total: int
    pods_left: int
    working: float = 0.0
    """Seconds since the first batch began."""
    floor: int | None = None
    active: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    blocked: tuple[Held, ...] = ()
    blocked_in_all: int = 0

    def same(self, other: "Note | None") -> bool:
        """Whether nothing has happened between the two."""
        return other is not None and self == msgspec.structs.replace(other, at=self.at, working=self.working)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the record."""
        written: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return written


def note_of(progress: Progress, owner: str, holder: str, wall: float) -> Note:
    """The note of a drain that stands so."""
    nodes = progress.nodes()
    return Note(
        owner=owner,
        holder=holder,
        at=wall,
        phase=progress.phase,
        nodes_done=progress.nodes_done,
        nodes_total=progress.nodes_total,
        pods_left=progress.pods_left,
        working=round(progress.working, 1),
        floor=progress.floor,
        active=_named(nodes, "active"),
        skipped=_named(nodes, "skipped"),
        blocked=tuple(_held(one) for one in progress.blocked[:_BLOCKED]),
        blocked_in_all=len(progress.blocked),
    )


def read(written: Mapping[str, Any]) -> Note | None:
    """What stands in a record; None if there is nothing, or nothing that this release understands."""
    try:
        note = msgspec.convert(written, Note)
    except msgspec.ValidationError:
        return None
    return note if note.schema <= SCHEMA else None


def _named(nodes: Sequence[NodeProgress], phase: str) -> tuple[str, ...]:
    return tuple(node.name for node in nodes if node.phase == phase)[:_NAMED]


def _held(one: Diagnosis) -> Held:
    return Held(
        reason=one.reason,
        object=one.object,
        node=one.node,
        message=one.message[:_TEXT],
        fix=one.fix[:_TEXT],
        since=round(one.since, 1),
    )
