"""The label that keeps a node out of external load balancers: its controllers take the node out of their targets.

Ours carries our value, so that only ours is taken off again (cluster.eviction.uncordon).
"""

from collections.abc import Sequence

from pulumi_nodepools.cluster import eviction
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.drain.events import BalancersSeen
from pulumi_nodepools.drain.model import NodeView
from pulumi_nodepools.names import EXCLUDED_VALUE, EXCLUSION_LABEL


def exclude(client: Client, node: NodeView) -> str:
    """Label one node; what went wrong, if anything did. A label that is there already stays whose it is."""
    if EXCLUSION_LABEL in node.labels:
        return ""
    answer = eviction.set_labels(client, node.name, {EXCLUSION_LABEL: EXCLUDED_VALUE})
    return "" if answer.code in (200, 404) else f"label {EXCLUSION_LABEL}: {answer.code} {answer.message}"


def label_only(client: Client, nodes: Sequence[NodeView]) -> list[BalancersSeen]:
    """Leave the rest to the controllers of the load balancers: nobody here can ask AWS."""
    troubles = [(node.name, exclude(client, node)) for node in nodes]
    return [BalancersSeen(name, (trouble,) if trouble else ()) for name, trouble in troubles]
