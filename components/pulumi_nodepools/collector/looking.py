"""One look at everything that belongs to a soak. What could not be read is said; nothing is guessed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi_nodepools.collector import nodes, pods
from pulumi_nodepools.collector.settings import Settings
from pulumi_nodepools.in_cluster.api import Api, Unanswered
from pulumi_nodepools.names import POOL_LABEL, SOAK_LABEL, VERSION_LABEL
from pulumi_nodepools.soak import events
from pulumi_nodepools.soak.evidence import GROUPS, Boot, Evidence, Look
from pulumi_nodepools.soak.match import Matcher
from pulumi_nodepools.soak.model import Hit, Line

_REPORTS = 500
"""Events with a signature that are remembered, the newest; a reporter that writes more is cut by the cluster anyway."""


@dataclass
class _Seen:
    """What is gathered during one look."""

    hits: list[Hit] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)
    missing: str = ""

    def note(self, reason: str) -> None:
        """The first reason is told; one is enough."""
        self.missing = self.missing or reason


class Observer:
    """Looks at nodes, pods, logs and Events through the API."""

    def __init__(self, api: Api, settings: Settings) -> None:
        self._api = api
        self._settings = settings
        self._matcher = Matcher(settings.sets, re.compile)
        subject = settings.subject
        self._labels = f"{POOL_LABEL}={subject.pool},{VERSION_LABEL}={subject.version}"

    def look(self, evidence: Evidence, *, begin: float, end: float, seconds: float) -> Look:
        """Everything since the last look; the time does not count if something could not be read."""
        seen = _Seen(cursors=dict(evidence.cursors))
        try:
            canaries = list(self._api.items("/api/v1/nodes", labelSelector=self._settings.nodes))
            present = self._pods()
            self._logs(present, evidence.cursors, seen)
            self._events(canaries, evidence.cursors, seen)
        except Unanswered as error:
            # What was read so far is kept with its cursors: nothing is counted twice, nothing is lost.
            seen.hits += self._matcher.finish()
            seen.note(f"the API server did not answer ({error})")
            return Look(begin, end, seconds, missing=seen.missing, hits=seen.hits, cursors=seen.cursors,
                        present=evidence.counted)  # fmt: skip
        seen.hits += self._matcher.finish()
        boots = self._boots(canaries, end, seen)
        runs = [run for pod in present if (run := pods.run(pod))]
        return Look(
            begin=begin,
            end=end,
            seconds=seconds,
            boots=boots,
            missing=seen.missing,
            runs=runs,
            present=frozenset(pod["metadata"]["uid"] for pod in present),
            hits=seen.hits,
            cursors=seen.cursors,
        )

    def _pods(self) -> list[Any]:
        selector = f"{SOAK_LABEL} in ({','.join(GROUPS)}),{self._labels}"
        path = f"/api/v1/namespaces/{self._settings.namespace}/pods"
        return list(self._api.items(path, labelSelector=selector))

    def _logs(self, present: list[Any], cursors: Mapping[str, str], seen: _Seen) -> None:
        """Logs of the canary's pods. The old nodes have the bug: their lines say nothing about the canary."""
        wanted = {
            f"log/{pod['metadata']['uid']}/{one['name']}": (pod, one["name"])
            for pod in present
            if pod["metadata"]["labels"][SOAK_LABEL] == "canary"
            for one in pods.statuses(pod)
            if "waiting" not in (one.get("state") or {"waiting": {}})
        }
        for key in [key for key in seen.cursors if key.startswith("log/") and key not in wanted]:
            del seen.cursors[key]
        for key, (pod, container) in wanted.items():
            read = pods.read(self._api, pod, container, cursors.get(key), lambda line: self._feed(line, seen))
            seen.cursors[key] = read.cursor
            seen.note(read.loss)

    @staticmethod
    def _boots(canaries: list[Any], now: float, seen: _Seen) -> list[Boot]:
        """The boots that can be watched; why there are none, if there are none."""
        reasons = [(node, nodes.missing(node, now)) for node in canaries]
        boots = [nodes.boot(node) for node, reason in reasons if not reason]
        if not boots:
            for _, reason in reasons:
                seen.note(reason)
        return boots

    def _events(self, canaries: list[Any], cursors: Mapping[str, str], seen: _Seen) -> None:
        """Events of the canary nodes and of the soak's namespace, and the nodes' own conditions, each once."""
        marked = sorted(self._reports(canaries), key=lambda one: one[2].at or 0.0)
        for key in [key for key in seen.cursors if key.startswith(("event/", "condition/"))]:
            del seen.cursors[key]
        # Only hits need to be remembered: everything else may be looked at again.
        for key, mark, line in [one for one in marked if self._matcher.matches(one[2])][-_REPORTS:]:
            if cursors.get(key) != mark:
                self._feed(line, seen)
            seen.cursors[key] = mark

    def _reports(self, canaries: list[Any]) -> Iterator[tuple[str, str, Line]]:
        """Lines with a key that stays and a mark that changes when there is more to say."""
        names = {node["metadata"]["name"] for node in canaries}
        about_nodes = self._api.items("/api/v1/events", fieldSelector="involvedObject.kind=Node")
        inside = self._api.items(f"/api/v1/namespaces/{self._settings.namespace}/events")
        ours = (event for event in about_nodes if event["involvedObject"].get("name") in names)
        for event in (*ours, *inside):
            yield f"event/{event['metadata']['uid']}", str(event.get("count") or 1), events.line(event)
        for node in canaries:
            if line := nodes.kernel_line(node):
                yield f"condition/{node['metadata']['uid']}", str(line.at), line

    def _feed(self, line: Line, seen: _Seen) -> None:
        seen.hits += self._matcher.feed(line)
