"""How pods of a soak ended, and what their logs say that was not read yet."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pulumi_nodepools.in_cluster.api import Api, Unanswered
from pulumi_nodepools.names import SOAK_LABEL
from pulumi_nodepools.soak import stamps
from pulumi_nodepools.soak.evidence import Group, Run
from pulumi_nodepools.soak.lines import Reader, split
from pulumi_nodepools.soak.model import Line

LIMIT = 32 << 20
"""Bytes of one log that are read in one look; more is a flood."""
_DONE = "done"
_FLOODED = "flooded"
_ROTATED = "was rotated: lines before that may be lost"
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.?(\d{0,9})(Z|[+-]\d\d:\d\d) ")


def run(pod: Mapping[str, Any]) -> Run | None:
    """The run that this pod was; None while it goes on, and if it was taken away instead of ending."""
    status = pod.get("status") or {}
    conditions = status.get("conditions") or []
    moved = any(one["type"] == "DisruptionTarget" and one["status"] == "True" for one in conditions)
    if status.get("phase") not in {"Succeeded", "Failed"} or moved:
        return None
    ends = [one["state"]["terminated"] for one in statuses(pod) if (one.get("state") or {}).get("terminated")]
    worst: Mapping[str, Any] = max(ends, key=lambda end: abs(int(end.get("exitCode") or 0)), default={})
    failed = status["phase"] == "Failed"
    metadata = pod["metadata"]
    return Run(
        uid=metadata["uid"],
        group=cast("Group", metadata["labels"][SOAK_LABEL]),
        failed=failed,
        pod=metadata["name"],
        node=(pod.get("spec") or {}).get("nodeName", ""),
        at=_finished(worst) or _finished({"finishedAt": metadata.get("creationTimestamp")}) or 0.0,
        message=_message(status, worst) if failed else "",
    )


def statuses(pod: Mapping[str, Any]) -> list[Any]:
    """The statuses of the pod's containers, init containers first."""
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


@dataclass
class LogRead:
    """One container's log since the last look. `cursor` says how far it was read: `<nanoseconds>|<lines of then>|`.

    `loss` says why lines may be missing; it is "" as a rule.
    """

    cursor: str
    loss: str = ""


def read(api: Api, pod: Mapping[str, Any], container: str, cursor: str | None, feed: Callable[[Line], None]) -> LogRead:
    """Give `feed` every line that was not read before."""
    metadata, name = pod["metadata"], f"{pod['metadata']['name']} {container}"
    if cursor is not None and cursor.endswith(_DONE):
        return LogRead(cursor)
    ended = any(one["name"] == container and "terminated" in (one.get("state") or {}) for one in statuses(pod))
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
    reading = _Reading(_Place.of(cursor or ""), flood=LIMIT)
    # The look after a flood begins in the middle of its own time: that does not count either.
    reading.loss = _flood(LIMIT) if cursor and cursor.endswith(_FLOODED) else ""
    query = {"sinceTime": reading.since} if reading.since else {}
    node = (pod.get("spec") or {}).get("nodeName", "")
    reader = Reader("pod", near=time.time(), node=node, source=f"pod {metadata['namespace']}/{name}")
    try:
        for raw in reading.fresh(api.text(path, container=container, timestamps="true", **query), whole=not ended):
            for line in reader.feed(raw):
                feed(line)
    except Unanswered as error:
        reading.loss = f"could not be read ({error})"
    for line in reader.finish():
        feed(line)
    loss = f"the log of {name} {reading.loss}" if reading.loss else ""
    mark = _FLOODED if reading.flooded else _DONE if ended and not loss else ""
    return LogRead(f"{reading.place.at}|{reading.place.lines}|{mark}", loss)


@dataclass(frozen=True)
class _Place:
    """When the last line that was read was written (nanoseconds), and how many lines of that very moment were read."""

    at: int = 0
    lines: int = 0

    @classmethod
    def of(cls, cursor: str) -> "_Place":
        at, _, rest = cursor.partition("|")
        return cls(int(at or 0), int(rest.partition("|")[0] or 0))


class _Reading:
    """Lines beyond a known place; notices a log that no longer reaches back to it, and one that does not end."""

    def __init__(self, known: _Place, *, flood: int) -> None:
        self._known = known
        self._flood = flood
        self._size = 0
        self._end = b"\n"
        self.place = known
        self.loss = ""

    @property
    def flooded(self) -> bool:
        """Whether reading was broken off."""
        return self._size > self._flood

    @property
    def since(self) -> str:
        """The API reads logs from whole seconds on; "" from the beginning."""
        return stamps.iso_text(self._known.at // 10**9) if self._known.at else ""

    def fresh(self, chunks: Iterator[bytes], *, whole: bool) -> Iterator[bytes]:
        """The lines not read before. With `whole`, a last line without its end is left for the next look."""
        before = _Place()
        for raw in self._limited(chunks, whole=whole):
            # The second piece of a very long line has no stamp: it was written with the first.
            at = _nanoseconds(raw) or before.at
            if not before.lines and self._known.lines and at > self._known.at:
                self.loss = _ROTATED
            before = _Place(at, before.lines + 1 if at == before.at else 1)
            if (before.at, before.lines) > (self._known.at, self._known.lines):
                self.place = before
                yield raw
        if not before.lines and self._known.lines:
            self.loss = self.loss or _ROTATED
            self.place = _Place()
        if self.flooded:
            self.loss = _flood(self._flood)
            # The API gives whole seconds: anything earlier would give the flood once more.
            self.place = _Place((time.time_ns() // 10**9 + 1) * 10**9, 0)

    def _limited(self, chunks: Iterator[bytes], *, whole: bool) -> Iterator[bytes]:
        held: bytes | None = None
        for raw in split(self._counted(chunks)):
            if held is not None:
                yield held
            held = raw
        if held is not None and (self._end == b"\n" or not whole):
            yield held

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._size += len(chunk)
            self._end = chunk[-1:]
            yield chunk
            if self.flooded:
                return


def _flood(limit: int) -> str:
    return f"had more than {limit / (1 << 20):g} MiB in one look: the rest was passed over"


def _nanoseconds(raw: bytes) -> int:
    """The stamp in front of a line; 0 if there is none."""
    match = _STAMP.match(raw)
    if match is None:
        return 0
    whole, fraction, zone = (part.decode() for part in match.groups())
    return int(stamps.iso_seconds(whole + zone)) * 10**9 + int(fraction.ljust(9, "0"))


def _finished(end: Mapping[str, Any]) -> float | None:
    try:
        return stamps.iso_seconds(str(end.get("finishedAt")))
    except ValueError:
        return None


def _message(status: Mapping[str, Any], end: Mapping[str, Any]) -> str:
    text = str(end.get("message") or status.get("message") or status.get("reason") or "").strip()
    code = f"exit code {end['exitCode']}" if end.get("exitCode") else ""
    return ": ".join(part for part in (code, text) if part)
