"""What a previewed update means for workloads: versions that come and go, nodes, pods, batches, what is in the way.

Pure. The versions come from the preview; what the cluster shows of a version that goes is asked of `roll_look`, where
the cluster can be reached. How it is written for people is `roll_text`'s.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pulumi_nodepools.drain.model import Diagnosis
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import NodePoolsError
from pulumi_nodepools.units import share
from pulumi_nodepools.update_plan import HOOK, Group, UpdatePlan


@dataclass(frozen=True)
class Look:
    """What the cluster shows of one version that is to be drained."""

    pods: int
    """Those that have to move."""
    interruptions: Sequence[str]
    """Workloads that cannot be moved without a moment of absence."""
    blockers: Sequence[Diagnosis]
    """What would stop the drain as things are."""
    notes: Sequence[Diagnosis]
    """What is worth knowing beside that."""


@dataclass(frozen=True)
class Question:
    """Which nodes are meant, how they will be drained, and in which cluster (its UID, "" if not recorded)."""

    pool: str
    version: str
    settings: DrainSettings
    cluster_uid: str


@dataclass(frozen=True)
class Drain:
    """One version that the update drains. `look` is None where the cluster cannot be asked."""

    version: str
    nodes: int
    batch: int
    """Nodes that are emptied at a time."""
    look: Look | None = None

    @property
    def batches(self) -> int:
        return -(-self.nodes // self.batch) if self.batch else 0


@dataclass(frozen=True)
class Roll:
    """What happens to one pool."""

    pool: str
    active: str | None
    versions: Sequence[dict[str, Any]]
    drains: Sequence[Drain]


@dataclass(frozen=True)
class RollPlan:
    """What happens to all of them. `unreachable` says why the cluster could not be asked."""

    rolls: Sequence[Roll]
    unreachable: str = ""

    def to_json(self) -> dict[str, Any]:
        """The command's JSON document; `null` means that it is not known."""
        drains = [drain for roll in self.rolls for drain in roll.drains if drain.look]
        blockers = [one for drain in drains if drain.look for one in drain.look.blockers]
        return {
            "schemaVersion": 1,
            "command": "plan",
            "outcome": "blocked" if blockers else "ok",
            "cluster": {"reachable": not self.unreachable, "why": self.unreachable},
            "pools": [_roll_json(roll) for roll in self.rolls],
            "diagnosis": [one.to_json() for one in blockers],
        }


def make(plan: UpdatePlan, look: Callable[[Question], Look]) -> RollPlan:
    """The plan; `look` is asked only about what is to be drained, and may raise when the cluster cannot be reached."""
    rolls = list(_rolls(plan))
    try:
        looked = [
            replace(roll, drains=[_looked(plan, roll.pool, drain, look) for drain in roll.drains]) for roll in rolls
        ]
    except NodePoolsError as error:
        return RollPlan(rolls, unreachable=str(error))
    return RollPlan(looked)


def _looked(plan: UpdatePlan, pool: str, drain: Drain, look: Callable[[Question], Look]) -> Drain:
    inputs = _inputs(plan, pool, drain.version)
    uid = inputs.get("clusterUid")
    question = Question(pool, drain.version, _settings(inputs), uid if isinstance(uid, str) else "")
    return replace(drain, look=look(question))


def _rolls(plan: UpdatePlan) -> Iterator[Roll]:
    pools: dict[str, dict[str, list[Group]]] = {}
    for group in plan.groups:
        pools.setdefault(group.pool, {}).setdefault(group.version, []).append(group)
    for pool, versions in sorted(pools.items()):
        described = [_version(version, groups) for version, groups in sorted(versions.items())]
        drains = [
            _drain(plan, pool, one["version"], one["nodesBefore"]) for one in described if one["change"] == "removed"
        ]
        yield Roll(pool, plan.active.get(pool), described, drains)


def _version(version: str, groups: Sequence[Group]) -> dict[str, Any]:
    fates = {group.step.fate for group in groups}
    change = "removed" if fates == {"deleted"} else "created" if fates == {"created"} else "kept"
    if "replaced" in fates:
        change = "replaced"
    before, after = sum(group.before for group in groups), sum(group.after for group in groups)
    return {
        "version": version,
        "change": change,
        "nodesBefore": 0 if change == "created" else before,
        "nodesAfter": after,
    }


def _drain(plan: UpdatePlan, pool: str, version: str, nodes: int) -> Drain:
    settings = _settings(_inputs(plan, pool, version))
    return Drain(version, nodes, share("drain.batchSize", settings.batch_size, nodes) if nodes else 0)


def _inputs(plan: UpdatePlan, pool: str, version: str) -> Mapping[str, Any]:
    """What the hook of a version was told when it was made; empty if there is none."""
    every = [hook.old.get("inputs") or {} for hook in plan.of_type(HOOK)]
    return next((one for one in every if (one.get("pool"), one.get("version")) == (pool, version)), {})


def _settings(inputs: Mapping[str, Any]) -> DrainSettings:
    return DrainSettings.from_props(inputs.get("drain") or {})


def _roll_json(roll: Roll) -> dict[str, Any]:
    return {
        "pool": roll.pool,
        "active": roll.active,
        "versions": list(roll.versions),
        "drains": [
            {
                "version": drain.version,
                "nodes": drain.nodes,
                "batches": drain.batches,
                "pods": drain.look.pods if drain.look else None,
                "predictedInterruptions": list(drain.look.interruptions) if drain.look else None,
                "blockers": [one.to_json() for one in drain.look.blockers] if drain.look else None,
                "notes": [one.to_json() for one in drain.look.notes] if drain.look else None,
            }
            for drain in roll.drains
        ],
    }
