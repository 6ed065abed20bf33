"""How nodes leave their load balancers, and how they come back: successors first, then the label, then the targets."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from pulumi_nodepools.aws.leaving import Leaving
from pulumi_nodepools.aws.rejoining import rejoin
from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.cluster.client import Client, list_nodes
from pulumi_nodepools.cluster.exclusion import exclude, left_of
from pulumi_nodepools.drain.events import BalancersSeen
from pulumi_nodepools.drain.model import NodeView
from pulumi_nodepools.errors import AwsError
from pulumi_nodepools.hooks.evidence import instance_of
from pulumi_nodepools.names import OWNER_ANNOTATION


def leave(
    client: Client, leaving: Leaving, going: Callable[[], Collection[str] | None], nodes: Sequence[NodeView]
) -> list[BalancersSeen]:
    """One look at each node, and what can be done now is done. `going` are all instances of the version that goes,
    None if nobody is to take over from them.
    """
    instances = {node.name: node.provider_id.rsplit("/", 1)[-1] for node in nodes}
    try:
        return _looked(client, leaving, going(), nodes, instances)
    except AwsError as error:
        return [BalancersSeen(node.name, (str(error),)) for node in nodes]


def come_back(client: Client, session: Session, ours: Callable[[Any], bool], owner: str) -> None:
    """Register the instances behind nodes that `owner` drained again, wherever that drain took them out."""
    entries = {}
    for node in list_nodes(client):
        annotations = node["metadata"].get("annotations") or {}
        if ours(node) and annotations.get(OWNER_ANNOTATION) == owner:
            entries[instance_of(node)] = left_of(annotations)
    rejoin(session, entries)


def _looked(
    client: Client,
    leaving: Leaving,
    going: Collection[str] | None,
    nodes: Sequence[NodeView],
    instances: dict[str, str],
) -> list[BalancersSeen]:
    waiting = leaving.unready([instance for instance in instances.values() if instance], going)
    ready = [node for node in nodes if not waiting.get(instances[node.name])]
    noted = {node.name: exclude(client, node, leaving.entries(instances[node.name])) for node in ready}
    troubles = {name: [trouble] for name, trouble in noted.items() if trouble}
    free = [instances[node.name] for node in ready if instances[node.name] and node.name not in troubles]
    waiting |= leaving.left(free)
    return [
        BalancersSeen(
            node.name,
            tuple(troubles.get(node.name, waiting.get(instances[node.name], ()))),
            leaving.allowance(instances[node.name]),
        )
        for node in nodes
    ]
