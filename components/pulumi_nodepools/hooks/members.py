"""Pure: which nodes a version's groups stand for, and what does not add up before a drain may trust that list."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pulumi_nodepools.aws.groups import GONE_STATES, GroupView
from pulumi_nodepools.drain.model import NodeView
from pulumi_nodepools.hooks.evidence import instance_of, is_ready
from pulumi_nodepools.names import POOL_LABEL, VERSION_LABEL


@dataclass(frozen=True)
class Members:
    """`nodes` are to be drained, `dead` are left-over Nodes of terminated instances, `doubts` forbid to go on."""

    nodes: tuple[str, ...]
    instances: frozenset[str]
    dead: frozenset[str]
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Membership:
    """Who belongs to a version: by its labels, or, as in a group that was adopted, by being an instance of its groups.

    With a `selector` its labels count in place of pool and version.
    """

    pool: str
    version: str
    instances: frozenset[str] = frozenset()
    selector: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, pool: str, version: str, views: Iterable[GroupView]) -> "Membership":
        """With the instances that the groups have now."""
        return cls(pool, version, frozenset(instance.id for view in views for instance in view.instances))

    def includes(self, node: NodeView) -> bool:
        """Whether a node, as the drain sees it, belongs to the version."""
        instance = node.provider_id.rsplit("/", 1)[-1] if node.provider_id else ""
        return self._labelled(node.labels) or instance in self.instances

    def includes_raw(self, node: Mapping[str, Any]) -> bool:
        """The same of a node as the API server gives it."""
        labels = node["metadata"].get("labels") or {}
        return self._labelled(labels) or instance_of(node) in self.instances

    def _labelled(self, labels: Mapping[str, str]) -> bool:
        wanted = self.selector or {POOL_LABEL: self.pool, VERSION_LABEL: self.version}
        return wanted.items() <= labels.items()


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
