"""The words between a drain and its driver: what is told to the machine, and what it wants done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pulumi_nodepools.drain.model import (
    AttachmentView,
    BudgetView,
    ClaimView,
    ControllerView,
    DeploymentView,
    Diagnosis,
    NodeView,
    PodView,
    VolumeView,
)

Kind = Literal["pods", "nodes", "budgets", "controllers", "deployments", "claims", "volumes", "attachments"]


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as it is now: new or changed."""

    view: PodView | NodeView | BudgetView | ControllerView | DeploymentView | ClaimView | VolumeView | AttachmentView


@dataclass(frozen=True, slots=True)
class Gone:
    """An object that no longer is: nodes by name, everything else by UID."""

    kind: Kind
    key: str


@dataclass(frozen=True, slots=True)
class Relisted:
    """A whole list was read again: what is not among `keys` is gone. `scope` narrows it to one kind of controller."""

    kind: Kind
    keys: frozenset[str]
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Synced:
    """Everything has been seen once; deciding may begin."""


@dataclass(frozen=True, slots=True)
class GuardPassed:
    """The guard asked for by AskGuard found nothing wrong."""


@dataclass(frozen=True, slots=True)
class GuardLater:
    """It found something that is on its way to be right: ask again soon."""


@dataclass(frozen=True, slots=True)
class Patched:
    """A step that changes a node was answered; `code` 200 done, 404 no such node, 0 no answer."""

    node: str
    step: Literal["taint", "cordon", "restore", "label", "release"]
    code: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """An eviction or a surge was answered; `code` 0 means that no answer came."""

    uid: str
    code: int
    reason: str = ""
    causes: tuple[str, ...] = ()
    retry_after: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Someone wants the drain to end now, with everything left as it is."""

    reason: str = "it was told to stop"


@dataclass(frozen=True, slots=True)
class Pause:
    """Somebody wants the drain to stand still: nothing is cordoned or evicted, and timeouts of nodes stand too."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Nobody wants that any more."""


@dataclass(frozen=True, slots=True)
class WatchLost:
    """Nothing is heard of a kind of object any more."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class WatchBack:
    """It is heard again; what was missed follows at once."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class InstanceSeen:
    """What the cloud says of the machine behind a node; `state` is empty if it could not be asked."""

    node: str
    state: str


@dataclass(frozen=True, slots=True)
class BalancersSeen:
    """What is still to be waited for before no load balancer sends a node anything new; `allowance` in seconds."""

    node: str
    waiting: tuple[str, ...] = ()
    allowance: float = 0.0
    """What its target groups take by themselves: their deregistration delay, and settling."""


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """The user's check of a batch has ended; `failure` says why it did not pass, empty if it did."""

    failure: str = ""


Event = (
    Seen
    | Gone
    | Relisted
    | Synced
    | GuardPassed
    | GuardLater
    | Patched
    | Answered
    | Tick
    | Stop
    | Pause
    | Resume
    | WatchLost
    | WatchBack
    | BalancersSeen
    | InstanceSeen
    | CommandEnded
)


@dataclass(frozen=True, slots=True)
class TaintNode:
    """Put the soft taint on a node."""

    node: str


@dataclass(frozen=True, slots=True)
class CordonNode:
    """Make a node unschedulable, with the owner annotation."""

    node: str


@dataclass(frozen=True, slots=True)
class ReleaseNode:
    """Nothing runs on a node any more: let Kubernetes take its pods and volumes off at once."""

    node: str


@dataclass(frozen=True, slots=True)
class RestoreNode:
    """A node that was given up is back: take that word off it."""

    node: str


@dataclass(frozen=True, slots=True)
class LabelNode:
    """Mark a node as left out of the drain, or take the mark off."""

    node: str
    quarantined: bool


@dataclass(frozen=True, slots=True)
class LeaveBalancers:
    """Take nodes out of their load balancers, one step further each time it is asked; answer with BalancersSeen."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evict:
    """Ask for the eviction of exactly this pod; with a `grace` for its deletion, which no budget holds up."""

    namespace: str
    name: str
    uid: str
    node: str
    grace: int | None = None


@dataclass(frozen=True, slots=True)
class Surge:
    """Ask a Deployment, as it was last seen, for a rollout that replaces this pod; asking twice asks once."""

    deployment: DeploymentView
    uid: str


@dataclass(frozen=True, slots=True)
class AskGuard:
    """Ask the caller whether it is safe to go on; answer with GuardPassed, or end the drain."""


@dataclass(frozen=True, slots=True)
class AskInstance:
    """Ask the cloud about the machine of a node whose kubelet does not answer; answer with InstanceSeen."""

    node: str


@dataclass(frozen=True, slots=True)
class AskCommand:
    """Have the user's check judge a batch, 0 being what was there before the first; answer with CommandEnded."""

    batch: int
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Remember:
    """A batch begins: whose pods are on its nodes (UID), and how many ready ones each had. Kept before what follows."""

    ready: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Say:
    """Something worth telling."""

    kind: str
    node: str
    message: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The end: drained, blocked (resumable), or denied (rights are missing)."""

    outcome: Literal["drained", "blocked", "denied"]
    message: str
    diagnoses: tuple[Diagnosis, ...] = ()


NodeAction = TaintNode | CordonNode | LabelNode | ReleaseNode | RestoreNode
Action = NodeAction | LeaveBalancers | Evict | Surge | AskGuard | AskInstance | AskCommand | Remember | Say | Finish
