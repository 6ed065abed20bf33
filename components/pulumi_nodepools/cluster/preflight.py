"""Preflight of a cluster: reads what drain.preflight judges, and what only the server knows (rights, Leases)."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pulumi_nodepools.cluster import rights, webhooks
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.identity import known_dead
from pulumi_nodepools.cluster.lease import holder_identity
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.cluster.runner import own_runner, this_runner
from pulumi_nodepools.cluster.snapshot import look
from pulumi_nodepools.drain import preflight
from pulumi_nodepools.drain.model import NodeView, WorldView
from pulumi_nodepools.drain.preflight import Finding, Successor
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import AccessDeniedError, DrainBlockedError
from pulumi_nodepools.names import CANARY_SUFFIX, POOL_LABEL, RECORD_NAMESPACE, VERSION_LABEL


def run(
    client: Client,
    matches: Callable[[NodeView], bool],
    settings: DrainSettings,
    pools: Sequence[str],
    successor: Successor | None = None,
    *,
    others: Sequence[Finding] = (),
) -> tuple[WorldView, list[Finding]]:
    """What was seen, and everything found about the nodes for which `matches` says yes, worst first. Only reads.

    `successor` is what takes over from them, if it is only planned; `others` were found elsewhere.
    """
    lacking = [_right(right) for right in rights.missing(client, settings)]
    held = [finding for pool in pools for finding in _held(client, pool)]
    view = look(client)
    try:
        view = replace(view, webhooks=webhooks.look(client))
    except AccessDeniedError as error:
        lacking.append(_unseen(error))
    return view, judge(view, matches, settings, (*lacking, *held, *others), successor=successor)


def judge(
    view: WorldView,
    matches: Callable[[NodeView], bool],
    settings: DrainSettings,
    others: Sequence[Finding] = (),
    *,
    successor: Successor | None = None,
) -> list[Finding]:
    """The findings of what was seen already."""
    names = frozenset(node.name for node in view.nodes if matches(node))
    own = own_runner(view, names, this_runner())
    return preflight.check(
        view, matches, settings, time.time(), (*others, *([own] if own else [])), successor=successor
    )


def refuse(findings: Sequence[Finding], what: str) -> None:
    """DrainBlockedError if something is found that no waiting clears."""
    never = preflight.refusing(findings)
    if never:
        raise DrainBlockedError(
            f"{what}: {len(never)} things would hold the drain for ever, so it was not begun and nothing was changed:\n"
            f"{preflight.told(never)}\n"
            "  Repair them, or write those that you accept under `drain: {acknowledge: [<reason>/<namespace>/<name>]}`",
            [one.diagnosis() for one in never],
        )


def of_other_versions(
    client: Client,
    pool: str,
    active: str,
    settings: DrainSettings,
    successor: Successor | None = None,
    *,
    others: Sequence[Finding] = (),
) -> list[Finding]:
    """What would hold or hurt the drain of every version of a pool but the active one; none if there are no nodes.

    Canaries are left out: what runs on them was put there to try them, and goes before they do.
    """
    selector = f"{POOL_LABEL}={pool},{VERSION_LABEL}!={active}"
    if not client.get("/api/v1/nodes", labelSelector=selector, limit=1)["items"]:
        return []

    def other(node: NodeView) -> bool:
        version = node.labels.get(VERSION_LABEL, "")
        return node.labels.get(POOL_LABEL) == pool and version != active and not version.endswith(CANARY_SUFFIX)

    return run(client, other, settings, [pool], successor, others=others)[1]


def _right(right: rights.Right) -> Finding:
    fix = "bind the ClusterRole and the Role nodepools-drainer to it, or apply docs/rbac/drain.yaml"
    return Finding("never", "rbac", f"right {right}", "these cluster credentials lack it, and a drain needs it", fix)


def _unseen(error: AccessDeniedError) -> Finding:
    fix = "let the identity that looks read webhook configurations and services"
    message = f"whether some of them have all their pods on these nodes is not known: {error}"
    return Finding("info", "rbac", "webhooks of the cluster", message, fix)


def _held(client: Client, pool: str) -> Iterator[Finding]:
    record = PoolRecord(client, pool)
    holder = record.holder()
    if holder and holder != holder_identity() and not known_dead(holder):
        message = f"{holder} holds it: another run is at work on these nodes, or died and has not been succeeded yet"
        fix = "wait until that run has ended; a dead one is taken over by the next drain"
        yield Finding("blocker", "held", f"Lease {RECORD_NAMESPACE}/{record.name}", message, fix)
    request = record.load().request
    if request and request.kind == "pause":
        fix = f"`nodepools resume --pool {pool}`"
        yield Finding("blocker", "paused", f"pool {pool}", f"{request}, so a drain would wait before it begins", fix)
