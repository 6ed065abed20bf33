"""Watches a cluster from the outside and says whether anything that ran on it was interrupted.

An interruption is what docs/architecture.md defines: a Service that had ready endpoints has none, or a disruption
budget is violated, at any moment of the watch. Ready capacity is counted in ready, schedulable nodes of one pool.
The recorder never writes and takes no part in a drain; its three watches are its only requests.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pulumi_nodepools import names
from pulumi_nodepools.cluster.client import Client
from sandbox.watching import Object, Watching

SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
BUDGETS = "/apis/policy/v1/poddisruptionbudgets"
NODES = "/api/v1/nodes"


@dataclass
class Interruption:
    """One span of time in which `subject` was down; `ended` is None while it still is."""

    kind: str
    subject: str
    detail: str
    began: float
    ended: float | None = None


@dataclass(frozen=True)
class Endpoint:
    """One pod behind a Service; `serving` also while it terminates and still answers."""

    node: str
    ready: bool
    serving: bool


@dataclass(frozen=True)
class Serving:
    """The endpoints of one slice of a Service (namespace/name) from a moment on."""

    time: float
    service: str
    slice: str
    endpoints: tuple[Endpoint, ...]


@dataclass
class Ledger:
    """What the watches have seen. Pure: times come with each observation."""

    pool: str
    slices: dict[str, dict[str, int]] = field(default_factory=dict)
    nodes: dict[str, tuple[str, bool, bool]] = field(default_factory=dict)
    serving: list[Serving] = field(default_factory=list)
    instances: dict[str, str] = field(default_factory=dict)
    """The EC2 instance behind each node, also of nodes that are gone."""
    open: dict[tuple[str, str], Interruption] = field(default_factory=dict)
    interruptions: list[Interruption] = field(default_factory=list)
    capacity: list[Object] = field(default_factory=list)
    served: set[str] = field(default_factory=set)
    first_cordon: float | None = None

    def saw_slice(self, item: Object, deleted: bool, now: float) -> None:
        """Count ready endpoints per Service; a Service has as many slices as it needs."""
        metadata = item["metadata"]
        service = (metadata.get("labels") or {}).get("kubernetes.io/service-name")
        if not service:
            return
        subject = f"{metadata['namespace']}/{service}"
        endpoints = () if deleted else tuple(_endpoint(raw) for raw in item.get("endpoints") or [])
        self.serving.append(Serving(now, subject, metadata["name"], endpoints))
        parts = self.slices.setdefault(subject, {})
        parts[metadata["name"]] = sum(endpoint.ready for endpoint in endpoints)
        total = sum(parts.values())
        if total:
            self.served.add(subject)
        self._mark("service", subject, subject in self.served and total == 0, "no ready endpoint", now)

    def saw_budget(self, item: Object, deleted: bool, now: float) -> None:
        """A budget is violated when fewer pods are healthy than it asks for."""
        status = item.get("status") or {}
        healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        subject = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        broken = not deleted and healthy < desired
        self._mark("budget", subject, broken, f"{healthy} healthy of {desired} required", now)

    def saw_node(self, item: Object, deleted: bool, now: float) -> None:
        """Keep the capacity of the pool as a timeline of changes."""
        instance = ((item.get("spec") or {}).get("providerID") or "").rpartition("/")[2]
        if instance:
            self.instances[item["metadata"]["name"]] = instance
        labels = item["metadata"].get("labels") or {}
        # A canary takes none of the pool's workloads: it is no capacity.
        if labels.get(names.POOL_LABEL) != self.pool or labels.get(names.VERSION_LABEL, "").endswith(
            names.CANARY_SUFFIX
        ):
            return
        name = item["metadata"]["name"]
        if deleted:
            self.nodes.pop(name, None)
        else:
            cordoned = bool((item.get("spec") or {}).get("unschedulable"))
            self.nodes[name] = (labels.get(names.VERSION_LABEL, ""), _node_ready(item), cordoned)
            if cordoned and self.first_cordon is None:
                self.first_cordon = now
        point: Object = {"time": now, "ready": 0, "versions": self._capacity()}
        point["ready"] = sum(point["versions"].values())
        if self.capacity and self.capacity[-1]["time"] == now:
            self.capacity[-1] = point
        elif not self.capacity or self.capacity[-1]["versions"] != point["versions"]:
            self.capacity.append(point)

    def _capacity(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for version, ready, cordoned in self.nodes.values():
            counts[version] = counts.get(version, 0) + (ready and not cordoned)
        return counts

    def _mark(self, kind: str, subject: str, broken: bool, detail: str, now: float) -> None:
        key = (kind, subject)
        if broken and key not in self.open:
            self.open[key] = Interruption(kind, subject, detail, now)
            self.interruptions.append(self.open[key])
        elif not broken and key in self.open:
            self.open.pop(key).ended = now

    def lowest_ready(self) -> int:
        """Fewest ready, schedulable nodes from just before the first cordon to the end."""
        since = self.first_cordon if self.first_cordon is not None else float("inf")
        before = [point["ready"] for point in self.capacity if point["time"] < since]
        during = [point["ready"] for point in self.capacity if point["time"] >= since]
        return min([*before[-1:], *during], default=0)


def _endpoint(raw: Object) -> Endpoint:
    """A condition that is not told counts as true."""
    conditions = raw.get("conditions") or {}
    ready = conditions.get("ready") is not False
    return Endpoint(raw.get("nodeName") or "", ready, ready or conditions.get("serving") is not False)


def _node_ready(item: Object) -> bool:
    conditions = (item.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


class Recorder:
    """Runs the three watches until `stop`; `ledger` is what they saw."""

    def __init__(self, client: Client, pool: str, *, clock: Callable[[], float] = time.time) -> None:
        self.ledger = Ledger(pool)
        self.began = clock()
        handlers = {SLICES: self.ledger.saw_slice, BUDGETS: self.ledger.saw_budget, NODES: self.ledger.saw_node}
        self._watching = Watching(client, handlers, clock=clock)

    @property
    def gaps(self) -> list[str]:
        """Where a watch broke: what happened then was not seen."""
        return self._watching.gaps

    def start(self, timeout: float = 30.0) -> "Recorder":
        """Return when all three lists have been read: nothing after this moment is missed."""
        self._watching.start(timeout)
        return self

    def stop(self) -> Ledger:
        self._watching.stop()
        return self.ledger
