"""A toy cluster with perfect knowledge: an eviction API, controllers and kubelets that the machine is played against.

Everything that can be late is late: watches deliver each kind in order but behind the truth, answers come in any order.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

import msgspec

from pulumi_nodepools.drain.events import (
    Answered,
    AskGuard,
    CordonNode,
    Evict,
    Finish,
    Gone,
    GuardPassed,
    LabelNode,
    Patched,
    Relisted,
    Remember,
    Seen,
    Synced,
    TaintNode,
    Tick,
)
from pulumi_nodepools.drain.machine import step
from pulumi_nodepools.drain.model import BudgetView, ControllerView, NodeView, Owner, PodView, Taint
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.state import State
from pulumi_nodepools.names import DRAINING_TAINT, OWNER_ANNOTATION

OWNER = "pool/v1"
FAULTS = ("webhook", "error", "throttled", "reset-before", "reset-after")


@dataclass
class App:
    """A workload: `kind` ReplicaSet, Job or DaemonSet; with or without a budget."""

    name: str
    kind: str
    replicas: int
    budget: int | None  # how many may be unavailable, None: no budget
    rank: int = 0
    priority: int = 0
    trouble: str = ""  # "denied": every eviction is refused by a webhook; "held": its pods never end


@dataclass
class Pod:
    view: PodView
    app: App


@dataclass
class Sim:
    """The truth, and what of it has been told."""

    apps: list[App]
    old: int
    rng: object
    settings: DrainSettings
    faults: bool = True
    now: float = 100.0
    pods: dict[str, Pod] = field(default_factory=dict)
    nodes: dict[str, NodeView] = field(default_factory=dict)
    told: dict[str, deque] = field(default_factory=lambda: {k: deque() for k in ("pods", "nodes", "budgets")})
    requests: list[Evict] = field(default_factory=list)
    answers: list[object] = field(default_factory=list)
    accepted: Counter = field(default_factory=Counter)
    in_flight: Counter = field(default_factory=Counter)
    guards: int = 0
    finish: Finish | None = None
    serial: int = 0
    most_in_flight: int = 0
    remembered: dict = field(default_factory=dict)
    evicting: bool = False
    """Whether the process that runs has asked for an eviction."""
    forced: set = field(default_factory=set)
    heard: list = field(default_factory=list)
    said: list = field(default_factory=list)

    def __post_init__(self):
        for index in range(self.old):
            self._node(f"old-{index}", "old")
        self._node("new-0", "new")
        for app in self.apps:
            for index in range(app.replicas):
                self._create(app, f"old-{index % self.old}", ready=True)
        self._begin()

    def _begin(self):
        """A process starts and sees everything as it is."""
        for queue in self.told.values():
            queue.clear()
        self.state = State(
            self.settings,
            OWNER,
            lambda n: n.labels.get("pool") == "old",
            now=self.now,
            wall=1_000_000.0,
            behind=self.remembered,
        )
        self.evicting = False
        for app in self.apps:
            self._tell_budget(app)
            if app.kind == "ReplicaSet":
                view = ControllerView(
                    kind="ReplicaSet", namespace="ns", name=app.name, uid=app.name, desired=app.replicas
                )
                self.put(Seen(view))
        for view in (*self.nodes.values(), *(pod.view for pod in self.pods.values())):
            self.put(Seen(view))
        while self.told["budgets"]:
            self.put(self.told["budgets"].popleft())
        self.put(Synced())

    def crash(self):
        """The process dies and another one begins. What it was still asking for may be done or not; nobody hears."""
        for request in self.requests:
            if self.rng.random() < 0.5:
                self._serve(request)
        self.requests.clear()
        self.answers.clear()
        self.in_flight.clear()
        self._begin()

    # -- what the machine sees and wants
    def put(self, event):
        actions = step(self.state, event, self.now)
        self.heard.append((event, self.now))
        self.said.append(list(actions))
        for action in actions:
            self._carry_out(action)

    def _carry_out(self, action):
        match action:
            case Remember(ready):
                self.remembered = dict(ready)
            case Evict():
                self._check_begin()
                self.requests.append(action)
                self._check_eviction(action) if action.grace is None else self._check_deletion(action)
            case LabelNode(name):
                self.answers.append(Patched(name, "label", 200))
            case TaintNode(name):
                soft = (Taint(DRAINING_TAINT, "PreferNoSchedule"),)
                self._patch(name, taints=soft)
                self.answers.append(Patched(name, "taint", 200))
            case CordonNode(name):
                assert all(n.taints for n in self.nodes.values() if n.labels["pool"] == "old"), "all taints first"
                self._patch(name, unschedulable=True, annotations={OWNER_ANNOTATION: OWNER})
                self.answers.append(Patched(name, "cordon", 200))
            case AskGuard():
                self.guards += 1
                self.answers.append(GuardPassed())
            case Finish():
                self.finish = action

    def _check_begin(self):
        """All pods were ready once: whatever a process before this one has moved is back before this one moves any."""
        for app in self.apps if not self.evicting else ():
            assert app.kind != "ReplicaSet" or self.ready(app) == app.replicas, f"{app.name} is not back yet"
        self.evicting = True

    def _check_eviction(self, action):
        assert action.uid not in self.accepted, "never ask again for a pod that was accepted"
        self._in_order(action)
        for uid in self.state.evictions.tracks[action.uid].budgets:
            self.in_flight[uid] += 1
            assert self.in_flight[uid] <= 1, "one in flight per budget"
        pending = len(self.requests) + sum(isinstance(a, Answered) for a in self.answers)
        self.most_in_flight = max(self.most_in_flight, pending)
        assert all(self.nodes[name].unschedulable for name in self.nodes if name.startswith("old"))

    def _check_deletion(self, action):
        assert self.settings.on_timeout == "force"
        assert action.grace >= 1
        self.forced.add(action.uid)

    def _in_order(self, action):
        known = [self.state.world.pods[uid] for uid in self.state.world.by_node[action.node]]
        rank = {pod.uid: pod.priority for pod in known if pod.owner.kind != "DaemonSet" and not pod.finished}
        assert rank[action.uid] == min(rank.values()), "critical pods leave their node last"

    def turn(self):
        """One random thing happens; time passes only when nothing else can."""
        choices = [("tell", kind) for kind, queue in self.told.items() if queue]
        choices += [("serve", index) for index in range(len(self.requests))]
        choices += [("answer", index) for index in range(len(self.answers))]
        choices += [("move", uid) for uid, pod in self.pods.items() if self._moves(pod)]
        if not choices:
            wake = self.state.wake()
            assert wake is not None, "nothing can happen any more"
            self.now = max(self.now + 0.01, wake)
            self.put(Tick())
            return
        what, key = self.rng.choice(choices)
        match what:
            case "tell":
                self.put(self.told[key].popleft())
            case "serve":
                self.answers.append(self._serve(self.requests.pop(key)))
            case "answer":
                self._answer(self.answers.pop(key))
            case "move":
                self._move(self.pods[key])

    def _moves(self, pod):
        return not pod.view.ready if not pod.view.terminating else pod.app.trouble != "held"

    def _answer(self, event):
        if isinstance(event, Answered) and not self.state.evictions.tracks[event.uid].deleted:
            for uid in self.state.evictions.tracks[event.uid].budgets:
                self.in_flight[uid] -= 1
        self.put(event)

    # -- the eviction API
    def _serve(self, request):
        fault = self.rng.choice(FAULTS) if self.faults and self.rng.random() < 0.15 else ""
        pod = self.pods.get(request.uid)
        if pod and pod.app.trouble == "denied" and request.grace is None:
            fault = "webhook"
        early = {
            "webhook": Answered(request.uid, 400, message='admission webhook "w" denied the request'),
            "error": Answered(request.uid, 500, message="etcdserver: leader changed"),
            "throttled": Answered(request.uid, 429, retry_after=2.0),
            "reset-before": Answered(request.uid, 0, message="reset"),
        }.get(fault)
        if early:
            return early
        answer = self._evict(request)
        return Answered(request.uid, 0, message="reset") if fault == "reset-after" else answer

    def _evict(self, request):
        pod = self.pods.get(request.uid)
        if pod is None:
            taken = any(other.view.name == request.name for other in self.pods.values())
            return Answered(request.uid, 409 if taken else 404)
        if pod.view.terminating:
            return Answered(request.uid, 201)
        app = pod.app
        held = app.budget is not None and self.ready(app) <= app.replicas - app.budget
        if held and request.grace is None:
            return Answered(request.uid, 429, causes=("DisruptionBudget",))
        self.accepted[request.uid] += 1
        self._change(pod, deleted_at=1_000_000.0 - 100.0 + self.now + 30)
        self._tell_budget(app)
        return Answered(request.uid, 201)

    # -- kubelets and controllers
    def _move(self, pod):
        if not pod.view.terminating:
            self._change(pod, ready=True, phase="Running")
        else:
            del self.pods[pod.view.uid]
            self.told["pods"].append(Gone("pods", pod.view.uid))
            if pod.app.kind == "ReplicaSet":
                self._create(pod.app, "new-0", ready=False)
        self._tell_budget(pod.app)

    def ready(self, app):
        return sum(p.view.ready and not p.view.terminating for p in self.pods.values() if p.app is app)

    def _create(self, app, node, *, ready):
        self.serial += 1
        kinds = {"ReplicaSet": "apps/v1", "DaemonSet": "apps/v1", "Job": "batch/v1"}
        name = f"{app.name}-{app.rank}" if app.replicas == 1 else f"{app.name}-{self.serial}"
        view = PodView(
            namespace="ns",
            name=name,
            uid=f"u{self.serial}",
            node=node,
            ready=ready,
            priority=app.priority,
            phase="Running" if ready else "Pending",
            labels={"app": app.name},
            owner=Owner(app.kind, kinds[app.kind], app.name, app.name),
        )
        self.pods[view.uid] = Pod(view, app)
        self.told["pods"].append(Seen(view))

    def _change(self, pod, **fields):
        pod.view = replaced(pod.view, **fields)
        self.told["pods"].append(Seen(pod.view))

    def _tell_budget(self, app):
        if app.budget is None:
            return
        ready, needed = self.ready(app), app.replicas - app.budget
        self.told["budgets"].append(
            Seen(
                BudgetView(
                    namespace="ns",
                    name=app.name,
                    uid="b-" + app.name,
                    match_labels={"app": app.name},
                    allowed=max(0, ready - needed),
                    healthy=ready,
                    needed=needed,
                    expected=app.replicas,
                )
            )
        )

    def _node(self, name, pool):
        self.nodes[name] = NodeView(name=name, labels={"pool": pool})
        self.told["nodes"].append(Seen(self.nodes[name]))

    def _patch(self, name, **fields):
        self.nodes[name] = replaced(self.nodes[name], **fields)
        self.told["nodes"].append(Seen(self.nodes[name]))

    def relist(self):
        """The pod watch was lost: what was not told yet comes as one list."""
        self.told["pods"].clear()
        for pod in self.pods.values():
            self.put(Seen(pod.view))
        self.put(Relisted("pods", frozenset(self.pods)))


def replaced(view, **fields):
    return msgspec.structs.replace(view, **fields)
