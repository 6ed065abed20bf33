"""Pure: which nodes a version's groups stand for, and what does not add up before a drain may trust that list."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi_nodepools.aws.groups import GONE_STATES, GroupView
from pulumi_nodepools.hooks.evidence import instance_of, is_ready
from pulumi_nodepools.names import POOL_LABEL, VERSION_LABEL


@dataclass(frozen=True)
class Members:
    """`nodes` are to be drained, `dead` are left-over Nodes of terminated instances, `doubts` forbid to go on."""

    nodes: tuple[str, ...]
    instances: frozenset[str]
    dead: frozenset[str]
    doubts: tuple[str, ...]


def labelled(labels: Mapping[str, str], pool: str, version: str) -> bool:
    """Whether a node's labels say that it belongs to the version."""
    return labels.get(POOL_LABEL) == pool and labels.get(VERSION_LABEL) == version


def candidates(views: Iterable[GroupView], nodes: Sequence[Mapping[str, Any]], pool: str, version: str) -> list[Any]:
    """Nodes that are the version's by label, or by being an instance of one of its groups."""
    ids = {instance.id for view in views for instance in view.instances}
    return [
        node
        for node in nodes
        if labelled(node["metadata"].get("labels") or {}, pool, version) or instance_of(node) in ids
    ]


def resolve(
    views: Sequence[GroupView], missing: Sequence[str], nodes: Sequence[Mapping[str, Any]], states: Mapping[str, str]
) -> Members:
    """Match instances with Nodes both ways. `missing` are the groups that no longer exist, `states` are EC2's."""
    grouped = {instance.id for view in views for instance in view.instances}
    known = {instance_of(node) for node in nodes}
    doubts = list(_unjoined(views, known, states))
    alive: list[str] = []
    dead: set[str] = set()
    for node in nodes:
        name, instance = node["metadata"]["name"], instance_of(node)
        gone = states.get(instance, "") in GONE_STATES
        if gone and not is_ready(node):
            dead.add(name)
        elif gone:
            doubts.append(f"Node {name} is Ready, but EC2 says that its instance {instance} is {states[instance]}")
        elif missing and instance not in grouped:
            doubts.append(f"Node {name} ({instance or 'no providerID'}) lives, but group {', '.join(missing)} is gone")
        else:
            alive.append(name)
    return Members(tuple(alive), frozenset(grouped), frozenset(dead), tuple(doubts))


def _unjoined(views: Sequence[GroupView], known: set[str], states: Mapping[str, str]) -> Iterable[str]:
    for view in views:
        for instance in view.instances:
            state = states.get(instance.id, "unknown")
            # A Terminating instance still runs its pods until EC2 has stopped it: only EC2's word counts.
            if instance.id not in known and state not in GONE_STATES:
                yield (
                    f"instance {instance.id} of {view.name} is {instance.lifecycle} ({state}) and no Node has it in "
                    "its providerID"
                )
