"""How the nodes of one drain leave their load balancers: successors first, then the label, then the target groups."""

from collections.abc import Callable, Collection, Sequence

from pulumi_nodepools.aws.leaving import Leaving
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.exclusion import exclude
from pulumi_nodepools.drain.events import BalancersSeen
from pulumi_nodepools.drain.model import NodeView
from pulumi_nodepools.errors import AwsError


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


def _looked(
    client: Client,
    leaving: Leaving,
    going: Collection[str] | None,
    nodes: Sequence[NodeView],
    instances: dict[str, str],
) -> list[BalancersSeen]:
    waiting = leaving.unready([instance for instance in instances.values() if instance], going)
    ready = [node for node in nodes if not waiting.get(instances[node.name])]
    troubles = {node.name: [trouble] for node in ready if (trouble := exclude(client, node))}
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
