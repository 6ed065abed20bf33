"""Reads what `pulumi preview --json --show-sames` wrote: which groups of which versions come, stay and go.

Only the facts. Whether they are allowed is `ci_check`'s question, what they mean for workloads is `roll_plan`'s.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pulumi_nodepools import documents
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.names import CLUSTER_TAG, POOL_LABEL, VERSION_LABEL

GROUP = "aws:autoscaling/group:Group"
HOOK = "pulumi-python:dynamic/nodepools:DrainHook"
BLUE_GREEN = "nodepools:aws:BlueGreenNodePool"

Fate = Literal["created", "kept", "replaced", "deleted"]
_FATES: Mapping[str, Fate] = {
    "create": "created",
    "import": "created",
    "same": "kept",
    "update": "kept",
    "refresh": "kept",
    "replace": "replaced",
    "create-replacement": "replaced",
    "delete-replaced": "replaced",
    "delete": "deleted",
}


@dataclass(frozen=True)
class Step:
    """What becomes of one resource. `old` and `new` are its state before and after, empty where there is none."""

    urn: str
    type: str
    fate: Fate
    old: Mapping[str, Any]
    new: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]

    @property
    def state(self) -> Mapping[str, Any]:
        """The later of the two."""
        return self.new or self.old


@dataclass(frozen=True)
class Group:
    """An Auto Scaling group of a pool's version. Nodes are those that it wants before and after the update."""

    step: Step
    cluster: str
    pool: str
    version: str
    before: int
    after: int


@dataclass(frozen=True)
class UpdatePlan:
    """Everything in a preview that concerns node pools, and the rest for those who ask by type."""

    steps: Sequence[Step]
    groups: Sequence[Group]
    active: Mapping[str, str]
    """Pool to the version that the program makes active."""

    @classmethod
    def of(cls, steps: Sequence[Step]) -> "UpdatePlan":
        """What the steps say of node pools."""
        groups = [group for step in steps if step.type == GROUP and (group := _group(step))]
        inputs = [step.new.get("inputs") or {} for step in steps if step.type == BLUE_GREEN]
        active = {str(one["pool"]): str(one["active"]) for one in inputs if "pool" in one and "active" in one}
        return cls(steps, groups, active)

    def of_type(self, kind: str) -> list[Step]:
        return [step for step in self.steps if step.type == kind]


def read(path: Path) -> UpdatePlan:
    """The preview in `path`; ConfigError when it is none, when it failed, or when it leaves out what stays."""
    try:
        document = json.loads(documents.read_bytes(path))
        steps, summary = document.get("steps") or [], document.get("changeSummary") or {}
        plan = UpdatePlan.of([_step(step) for step in steps if step.get("op") in _FATES])
        same = sum(step["op"] == "same" for step in steps)
        left_out = summary.get("same", 0) > same
        message = _last_error(document)
    except (OSError, ValueError, AttributeError, LookupError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path} is not what `pulumi preview --json --show-sames` writes: {error}") from None
    if "changeSummary" not in document:
        raise ConfigError(f"{path}: the preview did not come to its end; {message}")
    if left_out:
        raise ConfigError(f"{path} leaves out what stays as it is: write it with `pulumi preview --json --show-sames`")
    return plan


def _step(step: Mapping[str, Any]) -> Step:
    urn = str(step["urn"])
    kind = urn.split("::")[2].rpartition("$")[2]
    return Step(urn, kind, _FATES[step["op"]], step.get("oldState") or {}, step.get("newState") or {})


def _last_error(document: Mapping[str, Any]) -> str:
    messages = [str(one.get("message", "")).strip() for one in document.get("diagnostics") or []]
    return messages[-1] if messages else "run it without --json to see why"


def _group(step: Step) -> Group | None:
    tags = {tag.get("key"): tag.get("value") for tag in (step.state.get("inputs") or {}).get("tags") or []}
    if POOL_LABEL not in tags:
        return None
    return Group(
        step=step,
        cluster=str(tags.get(CLUSTER_TAG, "")),
        pool=str(tags[POOL_LABEL]),
        version=str(tags.get(VERSION_LABEL, "")),
        before=_nodes(step.old),
        after=0 if step.fate == "deleted" else _nodes(step.new) or _nodes(step.old),
    )


def _nodes(state: Mapping[str, Any]) -> int:
    """Desired nodes as the engine saw them last; of a group to be made, those that it is made with."""
    for part in ("outputs", "inputs"):
        values = state.get(part) or {}
        for key in ("desiredCapacity", "minSize"):
            if isinstance(values.get(key), int | float):
                return int(values[key])
    return 0
