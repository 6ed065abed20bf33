"""The label that keeps a node out of external load balancers: its controllers take the node out of their targets.

Ours carries our value, so that only ours is taken off again (cluster.eviction.uncordon). With it goes a note of where
the node's instance was registered, because AWS forgets that.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence

from pulumi_nodepools.cluster import eviction
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.drain.events import BalancersSeen
from pulumi_nodepools.drain.model import NodeView
from pulumi_nodepools.names import EXCLUDED_VALUE, EXCLUSION_LABEL, LEFT_ANNOTATION


def exclude(client: Client, node: NodeView, left: Collection[str] = ()) -> str:
    """Label one node and note what it is about to leave; what went wrong, if anything did.

    A label that is there already stays whose it is; what an earlier run noted stays noted.
    """
    noted = left_of(node.annotations)
    notes = {LEFT_ANNOTATION: json.dumps(sorted({*noted, *left}))} if set(left) - set(noted) else {}
    labels = {} if EXCLUSION_LABEL in node.labels else {EXCLUSION_LABEL: EXCLUDED_VALUE}
    if not labels and not notes:
        return ""
    answer = eviction.mark(client, node.name, labels, notes)
    return "" if answer.code in (200, 404) else f"label {EXCLUSION_LABEL}: {answer.code} {answer.message}"


def left_of(annotations: Mapping[str, str]) -> list[str]:
    """What a node has left, by its annotations; what is no list of text says nothing."""
    try:
        found = json.loads(annotations.get(LEFT_ANNOTATION, "[]"))
    except ValueError:
        return []
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def label_only(client: Client, nodes: Sequence[NodeView]) -> Iterator[BalancersSeen]:
    """One node after the other; the rest is for the controllers of the load balancers: nobody here can ask AWS."""
    for node in nodes:
        trouble = exclude(client, node)
        yield BalancersSeen(node.name, (trouble,) if trouble else ())
