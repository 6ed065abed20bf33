"""API objects to the slim views of drain.model. Fields that nobody asks about are never decoded. Pure."""

from functools import lru_cache
from typing import Any

import msgspec

from pulumi_nodepools.cluster import pod_status
from pulumi_nodepools.cluster.pod_status import Condition, PodStatus, moment
from pulumi_nodepools.drain.classify import NOTES
from pulumi_nodepools.drain.model import (
    BudgetView,
    ControllerView,
    NodeView,
    Owner,
    PodView,
    Requirement,
    Resources,
    Taint,
    Toleration,
)

_UNITS = {
    "": 1.0,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
}


class Raw(msgspec.Struct, rename="camel"):
    """Base of the decoded shapes: unknown fields are skipped, camelCase names are ours."""


class OwnerReference(Raw):
    kind: str
    api_version: str
    name: str
    uid: str
    controller: bool = False


class Meta(Raw):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None
    deletion_timestamp: str | None = None
    finalizers: list[str] | None = None


class ResourceNeeds(Raw):
    requests: dict[str, str | int | float] | None = None


class Port(Raw):
    host_port: int = 0
    protocol: str = "TCP"


class Container(Raw):
    resources: ResourceNeeds | None = None
    ports: list[Port] | None = None
    restart_policy: str = ""


class Volume(Raw):
    name: str = ""
    empty_dir: dict[str, Any] | None = None
    host_path: dict[str, Any] | None = None
    persistent_volume_claim: dict[str, Any] | None = None
    ephemeral: dict[str, Any] | None = None


class RawToleration(Raw):
    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


class RawRequirement(Raw):
    key: str
    operator: str
    values: list[str] | None = None


class Term(Raw):
    match_expressions: list[RawRequirement] | None = None


class NodeSelector(Raw):
    node_selector_terms: list[Term] = []


class NodeAffinity(Raw):
    required: NodeSelector | None = msgspec.field(name="requiredDuringSchedulingIgnoredDuringExecution", default=None)


class Affinity(Raw):
    node_affinity: NodeAffinity | None = None


class PodSpec(Raw):
    node_name: str = ""
    containers: list[Container] = []
    init_containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    tolerations: list[RawToleration] | None = None
    node_selector: dict[str, str] | None = None
    affinity: Affinity | None = None
    termination_grace_period_seconds: int | None = None
    priority: int | None = None
    overhead: dict[str, str | int | float] | None = None


class RawPod(Raw):
    metadata: Meta
    spec: PodSpec
    status: PodStatus = msgspec.field(default_factory=PodStatus)


class RawTaint(Raw):
    key: str
    effect: str
    value: str = ""
    time_added: str = ""


class NodeSpec(Raw):
    taints: list[RawTaint] | None = None
    unschedulable: bool = False
    provider_id: str = msgspec.field(name="providerID", default="")


class NodeInfo(Raw):
    kernel_version: str = ""


class NodeStatus(Raw):
    conditions: list[Condition] | None = None
    allocatable: dict[str, str | int | float] | None = None
    node_info: NodeInfo | None = None


class RawNode(Raw):
    metadata: Meta
    spec: NodeSpec = msgspec.field(default_factory=NodeSpec)
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)


class Selector(Raw):
    match_labels: dict[str, str] | None = None
    match_expressions: list[RawRequirement] | None = None


class BudgetSpec(Raw):
    selector: Selector | None = None
    min_available: str | int | None = None
    max_unavailable: str | int | None = None
    unhealthy_pod_eviction_policy: str = ""


class BudgetStatus(Raw):
    observed_generation: int = 0
    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0
    conditions: list[Condition] | None = None


class RawBudget(Raw):
    metadata: Meta
    spec: BudgetSpec
    status: BudgetStatus = msgspec.field(default_factory=BudgetStatus)


class ControllerSpec(Raw):
    replicas: int | None = None


class RawController(Raw):
    metadata: Meta
    spec: ControllerSpec = msgspec.field(default_factory=ControllerSpec)


def quantity(value: str | float) -> float:
    """A Kubernetes quantity such as `250m` or `1.5Gi` as a number."""
    text = str(value)
    digits = text.rstrip("kKmMGTPi")
    try:
        return float(digits) * _UNITS[text[len(digits) :]]
    except (ValueError, KeyError):
        return 0.0


@lru_cache(maxsize=8192)
def _shared(items: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """One dict for all pods with equal labels: most of a cluster's labels are the same few."""
    return dict(items)


def _labels(labels: dict[str, str] | None) -> dict[str, str]:
    return _shared(tuple(labels.items())) if labels else _shared(())


def _resources(amounts: dict[str, str | int | float] | None, pods: int) -> Resources:
    amounts = amounts or {}
    return Resources(
        cpu=round(quantity(amounts.get("cpu", 0)) * 1000), memory=round(quantity(amounts.get("memory", 0))), pods=pods
    )


def _requests(spec: PodSpec) -> Resources:
    """What the scheduler counts: containers and sidecars together, or the largest init container if that is more."""
    running = [_needs(container) for container in spec.containers]
    starting: list[Resources] = []
    for container in spec.init_containers or ():
        (running if container.restart_policy == "Always" else starting).append(_needs(container))
    extra = _resources(spec.overhead, 0)
    cpu = max([sum(need.cpu for need in running), *(need.cpu for need in starting)])
    memory = max([sum(need.memory for need in running), *(need.memory for need in starting)])
    return _same(cpu + extra.cpu, memory + extra.memory)


@lru_cache(maxsize=4096)
def _same(cpu: int, memory: int) -> Resources:
    return Resources(cpu=cpu, memory=memory, pods=1)


def _needs(container: Container) -> Resources:
    return _resources(container.resources.requests if container.resources else None, 0)


def _requirements(items: list[RawRequirement] | None) -> tuple[Requirement, ...]:
    return tuple(Requirement(item.key, item.operator, tuple(item.values or ())) for item in items or ())


def _affinity(spec: PodSpec) -> tuple[tuple[Requirement, ...], ...]:
    node = spec.affinity.node_affinity if spec.affinity else None
    return terms(node.required if node else None)


def terms(selector: NodeSelector | None) -> tuple[tuple[Requirement, ...], ...]:
    """Any of these, all expressions of one; empty if nothing is required."""
    return tuple(_requirements(term.match_expressions) for term in selector.node_selector_terms) if selector else ()


@lru_cache(maxsize=8192)
def _owner(kind: str, api_version: str, name: str, uid: str) -> Owner:
    return Owner(kind, api_version, name, uid)


@lru_cache(maxsize=1024)
def _toleration(key: str, operator: str, value: str, effect: str) -> Toleration:
    return Toleration(key, operator, value, effect)


def pod_view(raw: RawPod) -> PodView:
    """The view of a pod."""
    meta, spec, status = raw.metadata, raw.spec, raw.status
    owners = meta.owner_references or ()
    owner = next((_owner(o.kind, o.api_version, o.name, o.uid) for o in owners if o.controller), None)
    grace = spec.termination_grace_period_seconds
    return PodView(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        node=spec.node_name,
        phase=status.phase,
        ready=pod_status.is_ready(status),
        deleted_at=moment(meta.deletion_timestamp),
        grace=30 if grace is None else grace,
        priority=spec.priority or 0,
        started_at=moment(status.start_time),
        ready_since=pod_status.ready_since(status),
        finalizers=tuple(meta.finalizers or ()),
        labels=_labels(meta.labels),
        notes={key: value for key, value in (meta.annotations or {}).items() if key in NOTES} or _shared(()),
        owner=owner,
        owned_by_node=any(o.kind == "Node" for o in owners),
        empty_dirs=tuple(volume.name for volume in spec.volumes or () if volume.empty_dir is not None),
        host_paths=tuple(volume.host_path.get("path", "") for volume in spec.volumes or () if volume.host_path),
        claims=_claims(meta.name, spec.volumes),
        host_ports=_host_ports(spec),
        tolerations=tuple(_toleration(t.key, t.operator, t.value, t.effect) for t in spec.tolerations or ()),
        node_selector=_labels(spec.node_selector),
        affinity=_affinity(spec),
        requests=_requests(spec),
        trouble=pod_status.trouble(status),
    )


def _claims(pod: str, volumes: list[Volume] | None) -> tuple[str, ...]:
    """Names of a pod's claims; one that is made for a pod alone is named after both."""
    used = [volume for volume in volumes or () if volume.persistent_volume_claim or volume.ephemeral]
    return tuple((volume.persistent_volume_claim or {}).get("claimName", f"{pod}-{volume.name}") for volume in used)


def _host_ports(spec: PodSpec) -> tuple[str, ...]:
    found = (port for container in spec.containers for port in container.ports or () if port.host_port)
    return tuple(f"{port.host_port}/{port.protocol}" for port in found)


def node_view(raw: RawNode) -> NodeView:
    """The view of a node."""
    meta, spec, status = raw.metadata, raw.spec, raw.status
    ready = next((c.status for c in status.conditions or () if c.type == "Ready"), "Unknown")
    allocatable = status.allocatable or {}
    return NodeView(
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
        labels=meta.labels or {},
        annotations=meta.annotations or {},
        taints=tuple(Taint(t.key, t.effect, t.value, t.time_added) for t in spec.taints or ()),
        unschedulable=spec.unschedulable,
        ready=ready == "True",
        ready_status=ready,
        provider_id=spec.provider_id,
        allocatable=_resources(allocatable, int(quantity(allocatable.get("pods", 0)))),
        kernel_version=status.node_info.kernel_version if status.node_info else "",
    )


def budget_view(raw: RawBudget) -> BudgetView:
    """The view of a PodDisruptionBudget."""
    meta, spec, status = raw.metadata, raw.spec, raw.status
    selector = spec.selector
    failed = next((c.message or c.reason for c in status.conditions or () if c.reason == "SyncFailed"), "")
    return BudgetView(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        selects=selector is not None,
        match_labels=(selector.match_labels if selector else None) or {},
        match_expressions=_requirements(selector.match_expressions if selector else None),
        min_available="" if spec.min_available is None else str(spec.min_available),
        max_unavailable="" if spec.max_unavailable is None else str(spec.max_unavailable),
        allowed=status.disruptions_allowed,
        healthy=status.current_healthy,
        needed=status.desired_healthy,
        expected=status.expected_pods,
        sync_failure=failed,
        behind=status.observed_generation < meta.generation,
        always_allow_unready=spec.unhealthy_pod_eviction_policy == "AlwaysAllow",
    )


def controller_view(raw: RawController, kind: str) -> ControllerView:
    """The view of a controller. A DaemonSet wants no number of pods: it is known only to tell its pods from orphans."""
    meta = raw.metadata
    desired = 0 if kind == "DaemonSet" else 1 if raw.spec.replicas is None else raw.spec.replicas
    maker = next((o for o in meta.owner_references or () if o.controller), None)
    return ControllerView(
        kind=kind,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        desired=desired,
        made_by=f"{maker.kind} {maker.name}" if maker else "",
        maker=maker.uid if maker else "",
    )
