"""Pods that no node takes although a node of the drain would have: who has more of them than before. Mutable, no clock.

What was pending before is no batch's fault, and what could never run on these nodes is not theirs either.
"""

from collections import Counter

import msgspec

from pulumi_nodepools.drain.guarded import explain_controller
from pulumi_nodepools.drain.model import Diagnosis, NodeView, PodView
from pulumi_nodepools.drain.placement import admits
from pulumi_nodepools.drain.world import World

_OF_THE_STATE = "node.kubernetes.io/"
"""Taints that say how a node is now, cordoned or not ready; what it takes otherwise they do not say."""


class Unscheduled:
    """By workload, since pods are made anew. Jobs and unknown owners are nobody's promise."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._homes: list[NodeView] = []
        self._before: Counter[str] = Counter()
        self._fitting: dict[str, bool] = {}

    def begin(self, nodes: list[NodeView]) -> None:
        """Note who has such pods now, before anything is moved; `nodes` are those of the drain."""
        self._homes = [_unmarked(node) for node in nodes]
        self._before = Counter(self._world.workload(pod) for pod in self._pods())

    def more(self) -> list[PodView]:
        """Such pods of the workloads that have more of them now."""
        pods = self._pods()
        now = Counter(self._world.workload(pod) for pod in pods)
        return [pod for pod in pods if now[self._world.workload(pod)] > self._before[self._world.workload(pod)]]

    def explain(self) -> list[Diagnosis]:
        """One diagnosis for each workload that has more."""
        controllers = (self._world.wants(pod) for pod in self.more())
        return [
            explain_controller(self._world, one)
            for one in {controller.uid: controller for controller in controllers if controller}.values()
        ]

    def _pods(self) -> list[PodView]:
        pods = [self._world.pods[uid] for uid in self._world.unplaced]
        known = self._fitting
        self._fitting = {pod.uid: known[pod.uid] if pod.uid in known else self._fits(pod) for pod in pods}
        return [
            pod
            for pod in pods
            if pod.trouble and not pod.terminating and self._fitting[pod.uid] and self._world.wants(pod)
        ]

    def _fits(self, pod: PodView) -> bool:
        return any(admits(node, pod) for node in self._homes)


def _unmarked(node: NodeView) -> NodeView:
    kept = tuple(taint for taint in node.taints if not taint.key.startswith(_OF_THE_STATE))
    return msgspec.structs.replace(node, taints=kept)
