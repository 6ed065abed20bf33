"""The cluster as seen so far, indexed for the questions that a drain asks on every event. Mutable, no clock."""

from collections import Counter

from pulumi_nodepools.drain.classify import meets
from pulumi_nodepools.drain.model import BudgetView, ControllerView, DeploymentView, NodeView, PodView, WorldView
from pulumi_nodepools.drain.storage import Storage

_Place = tuple[str, str, str]
"""Namespace, and the key and value of a label."""


class World:
    """Pods, nodes, budgets and controllers by their keys, with pods also by node and by owner."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeView] = {}
        self.lost: set[str] = set()
        """Nodes that were here and are gone: a pod that is still listed there serves nobody, whatever it says."""
        self.pods: dict[str, PodView] = {}
        self.budgets: dict[str, BudgetView] = {}
        self.controllers: dict[str, ControllerView] = {}
        self.deployments: dict[str, DeploymentView] = {}
        self.storage = Storage()
        self.by_node: dict[str, dict[str, None]] = {}
        self.unplaced: dict[str, None] = {}
        """UIDs of pods without a node."""
        self.by_namespace: dict[str, dict[str, None]] = {}
        self.starting: dict[str, dict[str, None]] = {}
        """UIDs of pods that are to serve and do not yet, by namespace: few, where all of a namespace are many."""
        self.by_owner: dict[str, dict[str, None]] = {}
        self.instances: dict[str, str] = {}
        """What the cloud said of the machines of nodes that do not answer; empty if it could not be asked."""
        self.ready: Counter[str] = Counter()
        """Ready and not terminating pods, by the UID of their controller."""
        self._uids: dict[tuple[str, str], str] = {}
        self._by_label: dict[_Place, dict[str, None]] = {}
        """UIDs of budgets by one label that they ask for: a namespace may have thousands of them."""
        self._places: dict[str, _Place] = {}
        self._guards: dict[str, tuple[str, ...]] = {}

    @classmethod
    def of(cls, view: WorldView) -> "World":
        """The same with its indexes, from what was seen at one moment."""
        world = cls()
        world.nodes = {node.name: node for node in view.nodes}
        world.controllers = {controller.uid: controller for controller in view.controllers}
        world.deployments = {deployment.uid: deployment for deployment in view.deployments}
        for budget in view.budgets:
            world.put_budget(budget)
        for pod in view.pods:
            world.put_pod(pod)
        world.storage = Storage.of(view)
        return world

    def put_pod(self, pod: PodView) -> list[PodView]:
        """Store a pod; returns the views it replaces: its older self, or another pod of the same name."""
        replaced = []
        before = self._uids.get((pod.namespace, pod.name))
        for uid in dict.fromkeys(uid for uid in (before, pod.uid) if uid):
            old = self.drop_pod(uid)
            if old:
                replaced.append(old)
        self.pods[pod.uid] = pod
        self._uids[(pod.namespace, pod.name)] = pod.uid
        self.by_namespace.setdefault(pod.namespace, {})[pod.uid] = None
        if is_starting(pod):
            self.starting.setdefault(pod.namespace, {})[pod.uid] = None
        if pod.node:
            self.by_node.setdefault(pod.node, {})[pod.uid] = None
        else:
            self.unplaced[pod.uid] = None
        if pod.owner:
            self.by_owner.setdefault(pod.owner.uid, {})[pod.uid] = None
            self.ready[pod.owner.uid] += counts_as_ready(pod)
        return replaced

    def drop_pod(self, uid: str) -> PodView | None:
        """Forget a pod; returns what was known of it."""
        pod = self.pods.pop(uid, None)
        if pod is None:
            return None
        self._guards.pop(uid, None)
        if self._uids.get((pod.namespace, pod.name)) == uid:
            del self._uids[(pod.namespace, pod.name)]
        _discard(self.by_node, pod.node, uid)
        self.unplaced.pop(uid, None)
        _discard(self.by_namespace, pod.namespace, uid)
        _discard(self.starting, pod.namespace, uid)
        if pod.owner:
            self.ready[pod.owner.uid] -= counts_as_ready(pod)
            _discard(self.by_owner, pod.owner.uid, uid)
        return pod

    def find(self, namespace: str, name: str) -> PodView | None:
        """The pod of that name as it is now."""
        uid = self._uids.get((namespace, name))
        return self.pods.get(uid) if uid else None

    def put_budget(self, budget: BudgetView) -> bool:
        """Store a budget; True if whom it selects may have changed."""
        old = self.budgets.get(budget.uid)
        self.budgets[budget.uid] = budget
        changed = old is None or _selection(old) != _selection(budget)
        if changed:
            self._unplace(budget.uid)
            place = self._place(budget)
            self._places[budget.uid] = place
            self._by_label.setdefault(place, {})[budget.uid] = None
            self._guards.clear()
        return changed

    def drop_budget(self, uid: str) -> BudgetView | None:
        """Forget a budget."""
        budget = self.budgets.pop(uid, None)
        if budget:
            self._unplace(uid)
            self._guards.clear()
        return budget

    def _place(self, budget: BudgetView) -> _Place:
        """Under which label to look for a budget: of those that it asks for, the one that fewest others share."""
        places = [(budget.namespace, key, value) for key, value in budget.match_labels.items()]
        return min(places, key=lambda place: len(self._by_label.get(place, ())), default=(budget.namespace, "", ""))

    def _unplace(self, uid: str) -> None:
        place = self._places.pop(uid, None)
        if place:
            self._by_label[place].pop(uid, None)

    def guards(self, pod: PodView) -> tuple[str, ...]:
        """UIDs of the budgets that guard a pod. Remembered until a selector changes."""
        known = self._guards.get(pod.uid)
        if known is None:
            places = [(pod.namespace, "", ""), *((pod.namespace, key, value) for key, value in pod.labels.items())]
            candidates = (uid for place in places for uid in self._by_label.get(place, ()))
            known = tuple(uid for uid in candidates if selects(self.budgets[uid], pod))
            self._guards[pod.uid] = known
        return known

    def wants(self, pod: PodView) -> ControllerView | None:
        """The controller of a pod if it exists and wants pods."""
        controller = self.controllers.get(pod.owner.uid) if pod.owner else None
        return controller if controller and controller.desired > 0 else None

    def deployment(self, pod: PodView) -> DeploymentView | None:
        """The Deployment that a pod belongs to, if it belongs to one."""
        controller = self.controllers.get(pod.owner.uid) if pod.owner else None
        return self.deployments.get(controller.maker) if controller else None

    def workload(self, pod: PodView) -> str:
        """What people call the thing that a pod belongs to, `shop/web`; the pod itself if it belongs to nothing."""
        if pod.owner is None:
            return pod.path
        controller = self.controllers.get(pod.owner.uid)
        return controller.title if controller else f"{pod.namespace}/{pod.owner.name}"

    def view(self) -> WorldView:
        """Everything, for guards."""
        return WorldView(
            tuple(self.nodes.values()),
            tuple(self.pods.values()),
            tuple(self.budgets.values()),
            tuple(self.controllers.values()),
            tuple(self.storage.claims.values()),
            tuple(self.storage.volumes.values()),
            tuple(self.deployments.values()),
        )


def counts_as_ready(pod: PodView) -> bool:
    """Whether a pod serves now and is not on its way out."""
    return pod.ready and not pod.terminating and not pod.finished


def is_starting(pod: PodView) -> bool:
    """Whether a pod is to serve and does not yet, or no longer."""
    return not pod.ready and not pod.terminating and not pod.finished


def selects(budget: BudgetView, pod: PodView) -> bool:
    """Whether a budget of policy/v1 guards a pod: an empty selector guards all, a missing one none."""
    if not budget.selects or budget.namespace != pod.namespace:
        return False
    if any(pod.labels.get(key) != value for key, value in budget.match_labels.items()):
        return False
    return all(meets(pod.labels, requirement) for requirement in budget.match_expressions)


def _selection(budget: BudgetView) -> tuple[object, ...]:
    return (budget.selects, budget.match_labels, budget.match_expressions)


def _discard(index: dict[str, dict[str, None]], key: str, uid: str) -> None:
    entry = index.get(key)
    if entry is not None:
        entry.pop(uid, None)
        if not entry:
            del index[key]
