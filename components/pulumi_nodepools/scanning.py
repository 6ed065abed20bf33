"""Looks for signatures in logs that are there already: files, standard input, pods and Events. Decides nothing."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pulumi_nodepools.cluster import logs
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.drain.model import Diagnosis
from pulumi_nodepools.errors import ApiError
from pulumi_nodepools.soak import events
from pulumi_nodepools.soak.correlate import correlate
from pulumi_nodepools.soak.custom import compile_
from pulumi_nodepools.soak.lines import Reader, split
from pulumi_nodepools.soak.match import Matcher
from pulumi_nodepools.soak.model import WEIGHTS, Hit, Line, Origin, SignatureSet
from pulumi_nodepools.soak.stamps import iso_text
from pulumi_nodepools.soak.tally import Tally

_KEPT = 1000
"""Hits of one signature and weight that are told with their lines."""
_CHUNK = 1 << 16
_FIXES = {
    "kmem": "boot the node with cgroup.memory=nokmem and a kernel of 3.10.0-1062.4.1 or later; only a reboot frees "
    "what has leaked"
}


@dataclass(frozen=True)
class Text:
    """One log to look at. `node` may be ""."""

    source: str
    chunks: Iterable[bytes]
    origin: Origin
    node: str = ""


class Scan:
    """One look at any number of logs. `now` is the time of collection (epoch seconds)."""

    def __init__(self, sets: Sequence[SignatureSet], now: float) -> None:
        self._matcher = Matcher(sets, compile_)
        self._windows = {one.name: one.window for one in sets}
        self._tally = Tally(_KEPT)
        self._now = now
        self._lines: Counter[str] = Counter()

    def text(self, text: Text) -> None:
        """Look at one log from its beginning to its end."""
        self._lines[text.source] += 0
        reader = Reader(text.origin, near=self._now, node=text.node, source=text.source)
        for raw in split(text.chunks):
            self._lines[text.source] += 1
            self._feed(reader.feed(raw))
        self._feed(reader.finish())
        self._ended()

    def events(self, found: Iterable[Any]) -> None:
        """Look at Events."""
        self._lines["events"] += 0
        for event in found:
            self._lines["events"] += 1
            self._feed([events.line(event)])
        self._ended()

    def report(self) -> dict[str, Any]:
        """What was found, the heaviest first: the document of `nodepools soak scan`."""
        found = sorted(correlate(self._tally.hits, self._windows), key=lambda hit: WEIGHTS.index(hit.weight))
        return {
            "schemaVersion": 1,
            "command": "soak scan",
            "outcome": "found" if found else "clean",
            "sources": [{"source": source, "lines": lines} for source, lines in self._lines.items()],
            "counts": {f"{name}/{signature}": count for (name, signature), count in sorted(self._tally.counts.items())},
            "leftOut": self._tally.left_out,
            "findings": [_finding(hit) for hit in found],
            "diagnosis": [entry.to_json() for entry in _diagnoses(found)],
        }

    def _feed(self, lines: Iterable[Line]) -> None:
        for line in lines:
            for hit in self._matcher.feed(line):
                self._tally.add(hit)

    def _ended(self) -> None:
        for hit in self._matcher.finish():
            self._tally.add(hit)


def pod_texts(client: Client, namespace: str, selector: str, origin: Origin, since: int | None) -> Iterator[Text]:
    """The logs of pods; a pod that is gone by now, or has no log yet, is left out."""
    for pod in logs.pods(client, namespace, selector):
        for container in logs.containers(pod):
            name = f"pod {namespace}/{pod['metadata']['name']} {container}"
            node = (pod.get("spec") or {}).get("nodeName", "")
            yield Text(name, _there(logs.log(client, pod, container, since)), origin, node)


def file_text(source: str, file: Any, origin: Origin, node: str) -> Text:
    """A file or standard input, opened for bytes."""
    return Text(source, iter(lambda: file.read(_CHUNK), b""), origin, node)


def _there(chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    except ApiError as error:
        if error.status not in {400, 404}:
            raise


def _finding(hit: Hit) -> dict[str, Any]:
    body = asdict(hit)
    body["time"] = None if hit.at is None else iso_text(hit.at)
    return {key: body[key] for key in ("set", "signature", "weight", "node", "time", "source", "line", "near")}


def _diagnoses(found: Sequence[Hit]) -> Iterator[Diagnosis]:
    """One for each signature, node and weight."""
    groups: dict[tuple[str, str, str, str], list[Hit]] = {}
    for hit in found:
        groups.setdefault((hit.set, hit.signature, hit.weight, hit.node), []).append(hit)
    for (name, signature, weight, node), hits in groups.items():
        yield Diagnosis(
            reason="signature",
            object=f"{name}/{signature}",
            node=node,
            message=f"{weight}, {len(hits)} times, first in {hits[0].source}: {hits[0].line}",
            fix=_FIXES.get(name, "see what this signature of yours stands for"),
            numbers={"lines": len(hits)},
        )
