"""What was broken in the cluster before a new version came, so that its gate neither waits for it nor hides it."""

from collections.abc import Collection, Mapping
from typing import Any

from pulumi_nodepools.cluster.client import Client, items
from pulumi_nodepools.hooks.evidence import DaemonSet, daemon_set_of


def broken_daemon_sets(client: Client, new: Collection[str]) -> set[DaemonSet]:
    """DaemonSets without a ready pod anywhere that have pods on nodes other than the `new` ones, given by name.

    One that has pods on new nodes only may have been broken by them: that is what the gate is there to find.
    """
    return {
        (raw["metadata"]["namespace"], raw["metadata"]["name"])
        for raw in items(client, "/apis/apps/v1/daemonsets")
        if _serves_nobody(raw.get("status") or {}) and _has_pods_elsewhere(client, raw, new)
    }


def _serves_nobody(status: Mapping[str, Any]) -> bool:
    return bool(status.get("desiredNumberScheduled")) and not status.get("numberReady")


def _has_pods_elsewhere(client: Client, raw: Mapping[str, Any], new: Collection[str]) -> bool:
    space, name = raw["metadata"]["namespace"], raw["metadata"]["name"]
    pods = items(client, f"/api/v1/namespaces/{space}/pods")
    places = (pod["spec"].get("nodeName") for pod in pods if daemon_set_of(pod) == (space, name))
    return any(place and place not in new for place in places)
