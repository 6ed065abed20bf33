"""The workloads that a drain touches: what was ready before, and who is not back yet. Mutable, no clock."""

from collections.abc import Iterable, Mapping
from itertools import islice

from pulumi_nodepools.drain.guarded import explain_controller
from pulumi_nodepools.drain.model import Diagnosis, PodView
from pulumi_nodepools.drain.world import World

_MOST = 2000
"""Controllers of one batch that are remembered: what is written has to fit into a ConfigMap."""


class Workloads:
    """Baselines of the controllers with pods on our nodes. Jobs and unknown owners are nobody's promise."""

    def __init__(self, world: World, behind: Mapping[str, int]) -> None:
        """`behind`: controllers (UID) that an earlier run left with fewer ready pods than these: it has broken them."""
        self.lagging: dict[str, None] = {}
        """Touched controllers with fewer ready pods than before."""
        self.touched_in_batch = False
        self.touched: dict[str, None] = dict.fromkeys(behind)
        self._world = world
        self._baseline: dict[str, int] = dict(behind)

    def behind(self) -> dict[str, int]:
        """Who lags now, and how many ready pods each had: for the next run, if this one ends here."""
        return {owner: self._baseline[owner] for owner in self.lagging if owner in self._baseline}

    def at_stake(self, pods: Iterable[PodView]) -> dict[str, int]:
        """Whom these pods belong to, and how many ready pods each had: for the next run, if this one dies with them."""
        owners = (pod.owner.uid for pod in pods if pod.owner and pod.owner.uid in self._baseline)
        return {owner: self._baseline[owner] for owner in islice(dict.fromkeys(owners), _MOST)}

    def remember(self, pod: PodView) -> None:
        """Note how many pods of this pod's controller are ready, the first time it is met."""
        if pod.owner and pod.owner.uid in self._world.controllers:
            self._baseline.setdefault(pod.owner.uid, self._world.ready[pod.owner.uid])

    def touch(self, owner: str) -> None:
        """A pod of this controller is being evicted."""
        if owner:
            self.touched_in_batch = True
            self.touched[owner] = None
            self.changed(owner)

    def moved_by_rollout(self) -> None:
        """A pod goes once its Deployment has another one ready: nothing is to be waited for, but to be soaked."""
        self.touched_in_batch = True

    def changed(self, owner: str) -> None:
        """Pods or the size of a controller changed."""
        if owner not in self.touched:
            return
        controller = self._world.controllers.get(owner)
        wanted = min(self._baseline.get(owner, controller.desired), controller.desired) if controller else 0
        if self._world.ready[owner] < wanted:
            self.lagging[owner] = None
        else:
            self.lagging.pop(owner, None)

    def explain(self) -> list[Diagnosis]:
        """Why those who lag do."""
        found = (self._world.controllers.get(owner) for owner in self.lagging)
        return [explain_controller(self._world, controller) for controller in found if controller]

    def single(self) -> list[str]:
        """Touched controllers that want one pod only: moving it interrupts them, and that was known before."""
        found = (self._world.controllers.get(owner) for owner in self.touched)
        return sorted(f"{item.kind} {item.namespace}/{item.name}" for item in found if item and item.desired == 1)
