"""What the pools of a cluster look like now: nodes by version, and each pool's record.

Nodes of an adopted group carry no labels of ours: only for those AWS is asked, and if it does not answer they are shown
as not known.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pulumi_nodepools.aws import groups
from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.cluster.client import Client, list_nodes
from pulumi_nodepools.cluster.record import PoolRecord, Record, all_records
from pulumi_nodepools.drain.note import read
from pulumi_nodepools.errors import NodePoolsError
from pulumi_nodepools.hooks.evidence import instance_of, is_ready
from pulumi_nodepools.hooks.members import Membership
from pulumi_nodepools.names import CANARY_SUFFIX, KERNEL_CONDITION, POOL_LABEL, VALIDATED_LABEL, VERSION_LABEL

_NUMBERS = ("nodes", "ready", "schedulable", "validated")
_HEADS = ("POOL", "VERSION", "STATE", "NODES", "READY", "SCHEDULABLE", "PROVED")


_REGION = re.compile(r"aws:///([a-z]+(?:-[a-z]+)+-\d)")
"""The region in a providerID: the part of the zone's name that all zones of a region have in common."""


def collect(client: Client) -> dict[str, Any]:
    """Every pool that has nodes or a record, with its versions."""
    listed = list_nodes(client)
    nodes: dict[str, dict[str, list[Any] | None]] = defaultdict(dict)
    for node in listed:
        labels = node["metadata"].get("labels") or {}
        if POOL_LABEL in labels:
            of_version = nodes[labels[POOL_LABEL]].setdefault(labels.get(VERSION_LABEL, ""), [])
            assert of_version is not None
            of_version.append(node)
    records = {record.pool: record for record in all_records(client)}
    for record in records.values():
        for version, names in _adopted(record).items():
            nodes[record.pool][version] = _members(record.pool, version, names, listed)
    pools = [
        _pool(client, records.get(pool) or Record(pool), nodes.get(pool, {})) for pool in sorted({*nodes, *records})
    ]
    return {"schemaVersion": 1, "command": "status", "clusterUid": client.cluster_uid, "pools": pools}


def table(status: Mapping[str, Any]) -> str:
    """The same for humans: one line per version, and one below for each pool that is worked on."""
    pools = status["pools"]
    watched = any(version["watched"] for pool in pools for version in pool["versions"])
    lines = [(*_HEADS, *(("SIGNATURES",) if watched else ()), "")]
    for pool in pools:
        for version in pool["versions"]:
            counts = (version[key] for key in _NUMBERS)
            numbers = ("?" if count is None else str(count) for count in counts)
            seen = (str(len(version["signatures"])) if version["watched"] else "-",) if watched else ()
            marks = ", ".join(key for key in ("serving", "frozen") if version[key])
            lines.append((pool["pool"], version["version"], version["state"] or "-", *numbers, *seen, marks))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*rows, *filter(None, map(_work, pools))])


def _work(pool: Mapping[str, Any]) -> str:
    """What is done to a pool, by whom, and what somebody has asked for; empty if nothing ever was."""
    phase = "" if pool["phase"] == "serving" else pool["phase"]
    note = read(pool["drain"] or {})
    how_far = (
        f"{note.nodes_done}/{note.nodes_total} nodes, {note.pods_left} pods left" if note and pool["holder"] else ""
    )
    said = (phase, how_far, pool["holder"] and f"held by {pool['holder']}", pool["request"])
    return f"{pool['pool']}: {'; '.join(filter(None, said))}" if any(said) else ""


def _adopted(record: Record) -> dict[str, list[str]]:
    """Versions whose groups are not called as this library calls its own, with these groups."""
    known = dict.fromkeys(record.serving_groups, record.serving or "")
    known |= {name: was.version for name, was in record.frozen.items()}
    found: dict[str, list[str]] = defaultdict(list)
    for name, version in known.items():
        if version and f"-{record.pool}-{version}" not in name:
            found[version].append(name)
    return found


def _members(pool: str, version: str, names: Sequence[str], listed: Collection[Any]) -> list[Any] | None:
    """The nodes of these groups; None if AWS does not tell."""
    zones = (str((node.get("spec") or {}).get("providerID") or "") for node in listed if instance_of(node))
    region = next((found[1] for zone in zones if (found := _REGION.match(zone))), None)
    try:
        views = groups.describe(Session(region), names).values() if region else []
    except NodePoolsError:
        return None
    member = Membership.of(pool, version, views)
    return [node for node in listed if member.includes_raw(node)]


def _state(record: Record, version: str) -> str:
    """As of the last complete cutover; empty for a version that none has seen: it is coming or going."""
    return "canary" if version.endswith(CANARY_SUFFIX) else record.states.get(version, "")


def _kernel(node: Any) -> Mapping[str, Any] | None:
    """The condition by which the kernel watcher of this node speaks; None where there is none."""
    conditions = node["status"].get("conditions") or []
    return next((one for one in conditions if one["type"] == KERNEL_CONDITION), None)


def _signature(node: Any) -> dict[str, str] | None:
    """The definite signature that was found in the node's kernel log."""
    condition = _kernel(node)
    if condition is None or condition["status"] != "True":
        return None
    since = condition.get("lastTransitionTime") or ""
    return {"node": node["metadata"]["name"], "time": since, "line": condition.get("message") or ""}


def _pool(client: Client, record: Record, nodes: Mapping[str, list[Any] | None]) -> dict[str, Any]:
    # A group that is only kept from shrinking has nothing suspended: it is not frozen.
    frozen = {was.version for was in record.frozen.values() if was.suspended}
    serving = {record.serving} if record.serving else set()
    holder, renewed = PoolRecord(client, record.pool).held()
    note = read(record.progress)
    return {
        "pool": record.pool,
        "serving": record.serving,
        "phase": record.phase,
        "holder": holder,
        "renewed": renewed,
        "request": str(record.request) if record.request and record.request.holder in ("", holder) else "",
        "drain": note.to_json() if note else None,
        "versions": [
            {
                "version": version,
                "state": _state(record, version),
                **_counts(nodes.get(version, [])),
                "serving": version == record.serving,
                "frozen": version in frozen,
            }
            # The record remembers a frozen group until the next gate, also after the engine has deleted it.
            for version in sorted({*nodes, *serving, *record.states})
        ],
    }


def _counts(nodes: list[Any] | None) -> dict[str, Any]:
    """Numbers of a version's nodes; None for what is not known."""
    if nodes is None:
        return {**dict.fromkeys(_NUMBERS), "watched": 0, "signatures": []}
    return {
        "nodes": len(nodes),
        "ready": sum(map(is_ready, nodes)),
        "schedulable": sum(is_ready(node) and not node["spec"].get("unschedulable") for node in nodes),
        "validated": sum(VALIDATED_LABEL in (node["metadata"].get("labels") or {}) for node in nodes),
        # Who watches the kernel log of these nodes, and what was found on which since their boot.
        "watched": sum(_kernel(node) is not None for node in nodes),
        "signatures": [found for node in nodes if (found := _signature(node))],
    }
