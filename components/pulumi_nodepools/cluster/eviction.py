"""The writes of a drain: evicting a pod, tainting, cordoning and labelling a node, and taking these back. One try each.

What an answer means, and when to try again, is decided by drain.machine.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pulumi_nodepools.cluster import objects
from pulumi_nodepools.cluster.client import Client, Response, read_status
from pulumi_nodepools.drain.events import Answered, Evict, Patched
from pulumi_nodepools.drain.model import NodeView, Taint
from pulumi_nodepools.errors import AccessDeniedError, ApiError, ClusterUnreachableError
from pulumi_nodepools.names import (
    DRAINING_TAINT,
    EXCLUDED_VALUE,
    EXCLUSION_LABEL,
    LEFT_ANNOTATION,
    OUT_OF_SERVICE_TAINT,
    OWNER_ANNOTATION,
    QUARANTINE_LABEL,
    RELEASED_ANNOTATION,
)

_MERGE = "application/merge-patch+json"
_TRIES = 6
"""A node changes several times a minute; more lost races than this in a row mean that somebody fights for it."""
_MARKS = (OWNER_ANNOTATION, RELEASED_ANNOTATION)
_NODE = msgspec.json.Decoder(objects.RawNode)


def evict(client: Client, action: Evict) -> Answered:
    """Ask for the eviction of exactly this pod: a pod of the same name that came later is refused by its UID.

    With a grace it is deleted instead, which no budget holds up.
    """
    path = f"/api/v1/namespaces/{action.namespace}/pods/{action.name}"
    only: dict[str, Any] = {"preconditions": {"uid": action.uid}}
    try:
        if action.grace is not None:
            body = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": action.grace, **only}
            answer = client.request("DELETE", path, body=body)
        else:
            name = {"name": action.name, "namespace": action.namespace}
            body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": name, "deleteOptions": only}
            answer = client.request("POST", f"{path}/eviction", body=body, verb="evict")
    except ClusterUnreachableError as error:
        return Answered(action.uid, 0, message=str(error))
    except AccessDeniedError as error:
        return Answered(action.uid, 401, message=str(error))
    return answered(action.uid, answer)


def answered(uid: str, answer: Response) -> Answered:
    """What the server answered about a pod, with the causes and the patience that it asks for."""
    if answer.status < 300:
        return Answered(uid, answer.status)
    status = read_status(answer.body)
    details = status.details
    causes = details.causes if details else []
    texts = [str(cause.get("message", "")) for cause in causes]
    wait = float(details.retry_after_seconds) if details else 0.0
    header = answer.headers.get("Retry-After", "")
    return Answered(
        uid,
        answer.status,
        reason=status.reason,
        causes=tuple(str(cause.get("reason", "")) for cause in causes),
        retry_after=max(wait, float(header) if header.isdigit() else 0.0),
        message=" ".join(dict.fromkeys(text for text in (status.message, *texts) if text)),
    )


def taint(client: Client, node: NodeView) -> Patched:
    """Put the soft taint on a node."""

    def change(view: NodeView) -> dict[str, Any]:
        kept = [written(item) for item in view.taints if item.key != DRAINING_TAINT]
        ours = {"key": DRAINING_TAINT, "effect": "PreferNoSchedule"}
        return {"metadata": {}, "spec": {"taints": [*kept, ours]}}

    return patched(client, node, "taint", change)


def cordon(client: Client, node: NodeView, owner: str) -> Patched:
    """Make a node unschedulable and write down who did, in one patch: a cordon that came first is not ours."""

    def change(view: NodeView) -> dict[str, Any] | None:
        if view.unschedulable:
            return None
        return {"metadata": {"annotations": {OWNER_ANNOTATION: owner}}, "spec": {"unschedulable": True}}

    return patched(client, node, "cordon", change)


def label(client: Client, name: str, *, quarantined: bool) -> Patched:
    """Mark a node as left out of a drain, or take the mark off."""
    return mark(client, name, {QUARANTINE_LABEL: "true" if quarantined else None})


def mark(
    client: Client, name: str, labels: Mapping[str, str | None], annotations: Mapping[str, str] | None = None
) -> Patched:
    """Set labels and annotations of a node; None takes a label off."""
    metadata = {"labels": dict(labels), **({"annotations": dict(annotations)} if annotations else {})}
    return _merged(client, name, "label", {"metadata": metadata})


def _merged(client: Client, name: str, step: Any, body: dict[str, Any]) -> Patched:
    """Patch one field of a node, which needs no lock."""
    try:
        answer = client.request("PATCH", f"/api/v1/nodes/{name}", body=body, content_type=_MERGE)
    except ClusterUnreachableError as error:
        return Patched(name, step, 0, str(error))
    except AccessDeniedError as error:
        return Patched(name, step, 401, str(error))
    return Patched(name, step, answer.status, _message(answer))


def uncordon(client: Client, nodes: Callable[[NodeView], bool], owner: str) -> list[str]:
    """Take taint, cordon and annotation off those nodes that `owner` cordoned; returns their names.

    A node that somebody else had cordoned carries no annotation of ours: it only loses our taint, if it has it.
    """
    done = []
    for page in client.list_raw("/api/v1/nodes"):
        for raw in msgspec.json.decode(page, type=_Nodes).items:
            node = objects.node_view(raw)
            ours = owner in (node.annotations.get(mark) for mark in _MARKS)
            tainted = any(item.key == DRAINING_TAINT for item in node.taints)
            if not nodes(node) or not (ours or (tainted and OWNER_ANNOTATION not in node.annotations)):
                continue
            result = patched(client, node, "taint", _undo)
            if result.code not in (200, 404):
                message = f"uncordon of node {node.name}: {result.code} {result.message}; run it again"
                raise ApiError(message, status=result.code)
            if ours:
                done.append(node.name)
    return done


class _Nodes(msgspec.Struct):
    items: list[objects.RawNode] = []


def _undo(view: NodeView) -> dict[str, Any]:
    """A cordon is ours if its mark is there, and so is the word that a node is out of service; the taint always is."""
    body = in_service(view)
    kept = [taint for taint in body["spec"]["taints"] if taint["key"] != DRAINING_TAINT]
    if OWNER_ANNOTATION not in view.annotations:
        return {**body, "spec": {"taints": kept}}
    metadata: dict[str, Any] = {"annotations": dict.fromkeys((*_MARKS, LEFT_ANNOTATION))}
    ours = [QUARANTINE_LABEL] if QUARANTINE_LABEL in view.labels else []
    ours += [EXCLUSION_LABEL] if view.labels.get(EXCLUSION_LABEL) == EXCLUDED_VALUE else []
    if ours:
        metadata["labels"] = dict.fromkeys(ours)
    return {"metadata": metadata, "spec": {"taints": kept, "unschedulable": None}}


def in_service(view: NodeView) -> dict[str, Any]:
    """Taints and annotations without the word that a node is out of service, if it is ours."""
    ours = RELEASED_ANNOTATION in view.annotations
    kept = [written(item) for item in view.taints if not (ours and item.key == OUT_OF_SERVICE_TAINT)]
    return {"metadata": {"annotations": {RELEASED_ANNOTATION: None}}, "spec": {"taints": kept}}


def written(item: Taint) -> dict[str, str]:
    """A taint as the API server takes it."""
    fields = {"key": item.key, "effect": item.effect, "value": item.value, "timeAdded": item.added}
    return {key: value for key, value in fields.items() if value}


def patched(client: Client, node: NodeView, step: Any, change: Callable[[NodeView], dict[str, Any] | None]) -> Patched:
    """Patch a node under its resourceVersion: the list of taints is replaced whole, and a cordon counts
    as ours, so a lost race must be seen.

    `change` sees the node as it is then, and says None if nothing is to be done to it any more.
    """
    path = f"/api/v1/nodes/{node.name}"
    try:
        for _ in range(_TRIES):
            body = change(node)
            if body is None:
                return Patched(node.name, step, 200)
            body["metadata"]["resourceVersion"] = node.resource_version
            answer = client.request("PATCH", path, body=body, content_type=_MERGE)
            if answer.status != 409:
                return Patched(node.name, step, answer.status, _message(answer))
            fresh = client.request("GET", path)
            newer = objects.node_view(_NODE.decode(fresh.body)) if fresh.status == 200 else None
            # Addresses, and names made of them, are used again: another node of that name is not the one meant.
            if newer is None or newer.uid != node.uid:
                return Patched(node.name, step, 404 if newer else fresh.status, _message(fresh))
            node = newer
    except ClusterUnreachableError as error:
        return Patched(node.name, step, 0, str(error))
    except AccessDeniedError as error:
        return Patched(node.name, step, 401, str(error))
    return Patched(node.name, step, 409, f"changed {_TRIES} times while it was patched")


def _message(answer: Response) -> str:
    return "" if answer.status < 400 else read_status(answer.body).message
