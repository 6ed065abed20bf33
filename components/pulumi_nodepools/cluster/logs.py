"""Logs of pods and Events, as they come from the API server. What stands in them is for others to say."""

from collections.abc import Iterator
from typing import Any

from pulumi_nodepools.cluster.client import Client, items


def pods(client: Client, namespace: str, selector: str) -> list[Any]:
    """The pods of a namespace; all of them with an empty selector."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    return list(items(client, path, labelSelector=selector))


def containers(pod: Any) -> list[str]:
    """The containers that have begun, and so have a log."""
    status = pod.get("status") or {}
    kinds = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    found = [container for kind in kinds for container in status.get(kind) or []]
    return [one["name"] for one in found if "waiting" not in (one.get("state") or {}) or one.get("restartCount")]


def log(client: Client, pod: Any, container: str, since: int | None) -> Iterator[bytes]:
    """The container's log with time stamps, in chunks; `since` is in seconds before now."""
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
    query = {"sinceSeconds": since} if since else {}
    yield from client.stream(path, container=container, timestamps="true", **query)


def events(client: Client, namespace: str) -> Iterator[Any]:
    """Events of the namespace, and of all nodes."""
    paths = {f"/api/v1/namespaces/{namespace}/events": "", "/api/v1/events": "involvedObject.kind=Node"}
    for path, selector in paths.items():
        yield from items(client, path, fieldSelector=selector)
