"""Everything that guards and preflights look at, read once: one paged list for each kind of object."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.watch import RESOURCES, listed
from pulumi_nodepools.drain.events import Kind
from pulumi_nodepools.drain.model import WorldView

_KINDS: tuple[Kind, ...] = ("nodes", "pods", "budgets", "controllers", "claims", "volumes", "deployments")


def look(client: Client, kinds: Collection[Kind] = _KINDS) -> WorldView:
    """Nodes, pods, budgets, controllers, claims, volumes and Deployments as they are now, or only those of `kinds`."""
    found: dict[str, list[Any]] = defaultdict(list)
    for resource in RESOURCES:
        if resource.kind in kinds:
            for page in client.list_raw(resource.path):
                found[resource.kind].extend(resource.view(item) for item in listed(page))
    return WorldView(*(found[kind] for kind in _KINDS))
