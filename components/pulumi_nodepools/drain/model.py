"""What a drain knows and says: views of cluster objects, settings, progress, diagnoses. Plain data, no behaviour.

Views are slim on purpose (30 000 pods must fit into little memory); cluster/watch.py makes them from API objects.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec


class Owner(msgspec.Struct, frozen=True, gc=False):
    """The controlling owner of an object."""

    kind: str
    api_version: str
    name: str
    uid: str


class Taint(msgspec.Struct, frozen=True, gc=False):
    """A taint of a node."""

    key: str
    effect: str
    value: str = ""
    added: str = ""


class Toleration(msgspec.Struct, frozen=True, gc=False):
    """A toleration of a pod; an empty key with Exists tolerates everything."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


class Requirement(msgspec.Struct, frozen=True, gc=False):
    """One expression of a label selector or of a node affinity term."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class Resources(msgspec.Struct, frozen=True, gc=False):
    """CPU in millicores, memory in bytes, number of pods."""

    cpu: int = 0
    memory: int = 0
    pods: int = 0


class PodView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a drain needs to know of a pod. Times are seconds since the epoch."""

    namespace: str
    name: str
    uid: str
    node: str = ""
    phase: str = "Running"
    ready: bool = True
    deleted_at: float | None = None
    """The deletionTimestamp: when its grace ends. None unless it is terminating."""
    grace: int = 30
    priority: int = 0
    started_at: float | None = None
    ready_since: float | None = None
    finalizers: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    notes: Mapping[str, str] = {}
    """Only the annotations that matter here (mirror, opt-outs)."""
    owner: Owner | None = None
    owned_by_node: bool = False
    empty_dirs: tuple[str, ...] = ()
    host_paths: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    """Names of its PersistentVolumeClaims, those made for it alone included."""
    host_ports: tuple[str, ...] = ()
    """Ports of the node that it takes, such as `8080/TCP`."""
    tolerations: tuple[Toleration, ...] = ()
    node_selector: Mapping[str, str] = {}
    affinity: tuple[tuple[Requirement, ...], ...] = ()
    """Required node affinity: any of the terms, all expressions of one."""
    requests: Resources = Resources()
    trouble: str = ""
    """Why it is not running or not ready: the scheduler's message, or a container's waiting reason."""

    @property
    def finished(self) -> bool:
        """Its containers have ended for good."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def terminating(self) -> bool:
        """It was deleted and its grace period runs, or ran out."""
        return self.deleted_at is not None

    @property
    def path(self) -> str:
        """`namespace/name`, as messages call it."""
        return f"{self.namespace}/{self.name}"


class NodeView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a drain and its guards need to know of a node."""

    name: str
    uid: str = ""
    resource_version: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    ready: bool = True
    ready_status: str = "True"
    provider_id: str = ""
    allocatable: Resources = Resources()
    kernel_version: str = ""

    @property
    def zone(self) -> str:
        """The availability zone, empty if unknown."""
        return self.labels.get("topology.kubernetes.io/zone", "")


class BudgetView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A PodDisruptionBudget: whom it selects and what it allows now."""

    namespace: str
    name: str
    uid: str = ""
    selects: bool = True
    """False when it has no selector at all: such a budget matches nothing."""
    match_labels: Mapping[str, str] = {}
    match_expressions: tuple[Requirement, ...] = ()
    min_available: str = ""
    max_unavailable: str = ""
    allowed: int = 0
    healthy: int = 0
    needed: int = 0
    expected: int = 0
    sync_failure: str = ""
    behind: bool = False
    """Its status is that of an older spec: its controller has not come to it yet."""
    always_allow_unready: bool = False

    @property
    def path(self) -> str:
        """`namespace/name`, as messages call it."""
        return f"{self.namespace}/{self.name}"


class ControllerView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A ReplicaSet, StatefulSet or ReplicationController: how many pods it wants."""

    kind: str
    namespace: str
    name: str
    uid: str
    desired: int = 0
    made_by: str = ""
    """What made it and is known to people: `Deployment web`. Empty if nothing did."""
    maker: str = ""
    """The UID of that."""

    @property
    def title(self) -> str:
        """The workload as people call it, `shop/web`: the same after every rollout."""
        return f"{self.namespace}/{self.made_by.partition(' ')[2] or self.name}"


class DeploymentView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A Deployment, as far as a rollout of it moves pods."""

    namespace: str
    name: str
    uid: str
    resource_version: str = ""
    replicas: int = 1
    adds_first: bool = False
    """Whether a rollout of one replica starts the new pod before the old one goes."""
    paused: bool = False
    settled: bool = True
    """No rollout of it is under way."""
    moving: str = ""
    """The UID of the pod that a drain last asked it to replace."""

    @property
    def path(self) -> str:
        """`namespace/name`, as messages call it."""
        return f"{self.namespace}/{self.name}"


class ClaimView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A PersistentVolumeClaim, and the name of the volume that it is bound to; empty if it is not."""

    namespace: str
    name: str
    uid: str
    volume: str = ""
    one_node: bool = True
    """Whether pods on two nodes could not use it at once."""


class VolumeView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A PersistentVolume and where it can be used."""

    name: str
    uid: str
    affinity: tuple[tuple[Requirement, ...], ...] = ()
    """Required node affinity: any of the terms, all expressions of one. Empty: anywhere."""
    driver: str = ""
    """The CSI driver that attaches it; empty if none does."""

    @property
    def places(self) -> tuple[str, ...]:
        """Zones or nodes that it is confined to, as its affinity names them; empty if it is not."""
        found = (value for term in self.affinity for need in term if need.operator == "In" for value in need.values)
        return tuple(dict.fromkeys(found))

    @property
    def local(self) -> bool:
        """Whether it lives and dies with one node."""
        return any(need.key == "kubernetes.io/hostname" for term in self.affinity for need in term)


class AttachmentView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A VolumeAttachment: which volume a node holds. `volume` is empty for one without a PersistentVolume."""

    name: str
    uid: str
    node: str
    volume: str = ""
    trouble: str = ""
    """Why it could not be detached, if that was tried and failed."""


class CsiNodeView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A CSINode: how many volumes of each CSI driver the node of this name can attach, where the driver says so."""

    name: str
    limits: Mapping[str, int] = {}


class WebhookView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A configuration of admission webhooks that refuses what it judges while no pod of its service answers."""

    name: str
    namespace: str
    service: str
    selector: Mapping[str, str] = {}
    """The labels of the pods that answer."""
    own_pods: bool = False
    """Whether it judges the creation of pods in their own namespace."""


@dataclass(frozen=True)
class WorldView:
    """Everything seen at one moment, for guards that must be pure."""

    nodes: Sequence[NodeView]
    pods: Sequence[PodView]
    budgets: Sequence[BudgetView] = ()
    controllers: Sequence[ControllerView] = ()
    claims: Sequence[ClaimView] = ()
    volumes: Sequence[VolumeView] = ()
    deployments: Sequence[DeploymentView] = ()
    webhooks: Sequence[WebhookView] = ()
    """Looked at by a preflight alone."""
    csi_nodes: Sequence[CsiNodeView] = ()
    """Looked at only where pods with volumes are to move."""


@dataclass(frozen=True)
class Diagnosis:
    """Why something does not move: a reason of the fixed list, the object, the numbers, and what would help."""

    reason: str
    object: str
    node: str
    message: str
    fix: str
    numbers: Mapping[str, int | float | str] = field(default_factory=dict)
    chain: tuple[str, ...] = ()
    """What leads to it, each link caused by the next: the budget, the pod that is not ready, why it is not."""
    since: float = 0.0
    """When its object was first found not to move, in seconds since the epoch; 0 where nobody kept watch."""

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}: {self.message}. Fix: {self.fix}"

    @property
    def place(self) -> str:
        """The object, and its node if it is a pod or has one."""
        alone = self.object == f"node {self.node}" or not (self.node or self.object.startswith("pod "))
        return self.object if alone else f"{self.object} on {self.node or 'no node'}"

    def to_json(self) -> dict[str, Any]:
        """The entry of report.json."""
        return {
            "reason": self.reason,
            "object": self.object,
            "node": self.node,
            "message": self.message,
            "fix": self.fix,
            "numbers": dict(self.numbers),
            "chain": list(self.chain),
        }


@dataclass(frozen=True, slots=True)
class Point:
    """From this moment on: ready and schedulable nodes of the drain (blue), and the others of its pools (green)."""

    at: float
    blue: int
    green: int


@dataclass(frozen=True)
class DrainEvent:
    """One line of what happened, for humans."""

    kind: str
    node: str
    message: str


@dataclass(frozen=True, slots=True)
class NodeProgress:
    """One node on its way: waiting, active, done, gone or skipped; or one of the same pools that `stays`, or `idle`."""

    name: str
    phase: str
    pods_left: int
    version: str = ""
    zone: str = ""
    ready: bool = True
    cordoned: bool = False


@dataclass(frozen=True)
class Progress:
    """Where the drain stands; `blocked` has what has not moved for some seconds."""

    phase: str
    nodes_done: int
    nodes_total: int
    pods_left: int
    blocked: list[Diagnosis]
    message: str
    nodes: Callable[[], tuple[NodeProgress, ...]] = tuple
    """Each node, to be asked for while listening: with thousands, most listeners do without."""
    capacity: Point | None = None
    """Ready nodes now; None before they are known."""
    floor: int | None = None
    """How many of them there must be at least; None where the nodes belong to no pool."""
    working: float = 0.0
    """Seconds since the first batch began; 0 before."""
