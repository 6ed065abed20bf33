"""How many volumes the nodes can attach: read where a guard needs it, because it changes only when nodes come.

Most drains move no volumes, and pay nothing for it.
"""

from collections.abc import Callable
from dataclasses import replace

import msgspec

from pulumi_nodepools.cluster.asking import patiently
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.volumes import RawCsiNode, csi_node_view
from pulumi_nodepools.cluster.watch import listed
from pulumi_nodepools.drain.model import CsiNodeView, NodeView, WorldView
from pulumi_nodepools.errors import AccessDeniedError

CSI_NODES = "/apis/storage.k8s.io/v1/csinodes"
_CSI_NODE = msgspec.json.Decoder(RawCsiNode)


def seen(client: Client, world: WorldView, going: Callable[[NodeView], bool], tell: Callable[[str], None]) -> WorldView:
    """The world with the limits of its nodes, if pods with claims are on those that are `going`.

    Credentials that may not read them are no reason to stop: `tell` says what is not known then.
    """
    names = {node.name for node in world.nodes if going(node)}
    if not any(pod.claims for pod in world.pods if pod.node in names):
        return world
    try:
        return replace(world, csi_nodes=patiently(lambda: _look(client)))
    except AccessDeniedError as error:
        tell(f"whether nodes can attach as many volumes as would come is not known: {error}")
        return world


def _look(client: Client) -> list[CsiNodeView]:
    pages = client.list_raw(CSI_NODES)
    return [csi_node_view(_CSI_NODE.decode(raw)) for page in pages for raw in listed(page)]
