"""An open-loop client per service: requests at a fixed rate, whatever became of those before, judged by records.

Where each request would have gone is read from two records on one clock: the simulated AWS tells whom load balancers
sent to and which instances ended (sandbox.aws.balancers), the recorder which endpoints served on which node. Nothing
is sent over a network. A request that meets a dead end is lost: a stand-in for clients that would see a time-out.
"""

import json
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws import HISTORY
from sandbox.recorder import Endpoint, Ledger, Serving

RATE = 50.0
"""Requests per second to each service."""


@dataclass(frozen=True)
class Route:
    """How requests reach a service (namespace/name): by way of the target group `arn`, or from a pod if there is none.

    `local` is externalTrafficPolicy Local: a node answers only with pods of its own.
    """

    service: str
    arn: str = ""
    local: bool = False


@dataclass
class Tally:
    """Requests of one service; `first` is why the first one was lost, and when."""

    sent: int = 0
    lost: int = 0
    first: str = ""


@dataclass
class DataPath:
    """What was recorded of the ways to all services. Times are seconds of the wall clock."""

    sent: Mapping[str, Sequence[tuple[str, float, float | None]]]
    """Per target group: an instance, since when and until when it got requests (None: it still did)."""
    ended: Mapping[str, float]
    """When instances ended."""
    serving: Sequence[Serving]
    instances: Mapping[str, str]
    """The instance behind each node."""
    _nodes: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self._nodes = {instance: node for node, instance in self.instances.items()}

    @classmethod
    def recorded(cls, aws_endpoint: str, ledger: Ledger) -> "DataPath":
        """Ask the simulated AWS for its half of the record."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(aws_endpoint + HISTORY, timeout=30) as answer:
            told = json.load(answer)
        return cls(told["sent"], told["ended"], ledger.serving, ledger.instances)

    def requests(self, route: Route, began: float, ended: float) -> Tally:
        """Send them from `began` to `ended`."""
        tally, slices = Tally(), dict[str, tuple[Endpoint, ...]]()
        changes = [change for change in self.serving if change.service == route.service]
        at = 0
        for number in range(int((ended - began) * RATE)):
            now = began + number / RATE
            while at < len(changes) and changes[at].time <= now:
                slices[changes[at].slice] = changes[at].endpoints
                at += 1
            endpoints = [endpoint for part in slices.values() for endpoint in part]
            tally.sent += 1
            trouble = self._lost(route, endpoints, number, now)
            if trouble:
                tally.lost += 1
                tally.first = tally.first or f"{now - began:.2f} s: {trouble}"
        return tally

    def _lost(self, route: Route, endpoints: Sequence[Endpoint], number: int, now: float) -> str:
        """Why a request is lost, if it is; targets and endpoints take turns."""
        node = ""
        if route.arn:
            targets = sorted(each for each, since, until in self.sent[route.arn] if _within(now, since, until))
            if not targets:
                return "the load balancer had no target"
            target = targets[number % len(targets)]
            if self.ended.get(target, now) < now:
                return f"the load balancer sent to {target}, which had ended"
            node = self._nodes.get(target, "")
        there = [each for each in endpoints if each.node == node] if route.local else endpoints
        answering = [each for each in there if each.ready] or [each for each in there if each.serving]
        if not answering:
            return f"no pod of the service on {node}" if route.local else "no pod of the service"
        end = self.ended.get(self.instances.get(answering[number % len(answering)].node, ""), now)
        return f"its pod's node {answering[number % len(answering)].node} had ended" if end < now else ""


def _within(now: float, since: float, until: float | None) -> bool:
    return since <= now and (until is None or now < until)


def document(tallies: Mapping[str, Tally]) -> dict[str, Any]:
    """The counts as records keep them."""
    return {"sent": _total(tallies.values(), "sent"), "lost": _total(tallies.values(), "lost")} | {
        "services": {name: vars(tally) for name, tally in sorted(tallies.items())}
    }


def _total(tallies: Iterable[Tally], what: str) -> int:
    return sum(getattr(tally, what) for tally in tallies)
