"""Everything that guards and preflights look at, read once: one paged list for each kind of object."""

from collections import defaultdict
from typing import Any

from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.watch import RESOURCES, listed
from pulumi_nodepools.drain.model import WorldView


def look(client: Client) -> WorldView:
    """Nodes, pods, budgets, controllers, claims, volumes and Deployments as they are now."""
    found: dict[str, list[Any]] = defaultdict(list)
    for resource in RESOURCES:
        for page in client.list_raw(resource.path):
            found[resource.kind].extend(resource.view(item) for item in listed(page))
    kinds = ("nodes", "pods", "budgets", "controllers", "claims", "volumes", "deployments")
    return WorldView(*(found[kind] for kind in kinds))
