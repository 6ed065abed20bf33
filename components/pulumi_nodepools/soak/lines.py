"""From raw bytes to logical lines: what container runtimes split or wrap is put together again before matching.

Knows CRI partial lines, Docker's json-file parts, journald's and other JSON, colour codes, invalid UTF-8, and lines of
any length. Nothing is dropped: what cannot be decoded is replaced, what is too long comes in overlapping pieces.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pulumi_nodepools.soak import stamps
from pulumi_nodepools.soak.model import Kind, Line, Origin

PIECE = 256 * 1024
"""Bytes after which an endless line is looked at; the next piece begins OVERLAP bytes earlier."""
OVERLAP = 4096
_CRI = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)) (?P<stream>stdout|stderr) (?P<tag>[FP])(?::\S+)? ?"
)
_COLOUR = re.compile(r"(?:\x1b|#033)(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")
_DEPTH = 5


def split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Physical lines without their ends; memory stays below twice PIECE however long a line is."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        while len(rest) > PIECE:
            yield rest[:PIECE]
            rest = rest[PIECE - OVERLAP :]
    if rest:
        yield rest


class Reader:
    """Turns the physical lines of one log into logical ones. `near` is the time of collection (epoch seconds)."""

    def __init__(self, origin: Origin, *, near: float, node: str = "", source: str = "") -> None:
        self._origin = origin
        self._near = near
        self._node = node
        self._source = source
        self._parts: dict[str, tuple[float | None, str]] = {}

    def feed(self, raw: bytes) -> Iterator[Line]:
        """The logical lines that this physical one completes: none or one."""
        text = clean(raw.decode("utf-8", "replace"))
        if match := _CRI.match(text):
            at = stamps.moment({"iso": match["time"]}, self._near)
            yield from self._joined(match["stream"], at, text[match.end() :], complete=match["tag"] == "F")
        elif (fields := _object(text)) is None:
            yield self._line(text, None)
        elif isinstance(fields.get("log"), str) and "stream" in fields:
            at = stamps.moment({"iso": str(fields.get("time", ""))}, self._near) if fields.get("time") else None
            log = fields["log"]
            yield from self._joined(str(fields["stream"]), at, log.rstrip("\r\n"), complete=log.endswith("\n"))
        elif "MESSAGE" in fields:
            yield self._journal(fields)
        else:
            yield self._line(_unwrapped(text), None)

    def finish(self) -> Iterator[Line]:
        """What was still waiting for its end when the log ended."""
        for at, text in self._parts.values():
            yield self._line(_unwrapped(text), at)
        self._parts.clear()

    def _joined(self, stream: str, at: float | None, text: str, *, complete: bool) -> Iterator[Line]:
        began, before = self._parts.pop(stream, (at, ""))
        text = before + text
        if complete:
            yield self._line(_unwrapped(text), began)
        elif len(text) > PIECE:
            yield self._line(text, began)
            self._parts[stream] = (began, text[-OVERLAP:])
        else:
            self._parts[stream] = (began, text)

    def _journal(self, fields: dict[str, Any]) -> Line:
        message, stamp = fields["MESSAGE"], str(fields.get("__REALTIME_TIMESTAMP", ""))
        text = _bytes(message).decode("utf-8", "replace") if isinstance(message, list) else str(message)
        at = int(stamp) / 1e6 if stamp.isascii() and stamp.isdigit() else None
        kernel = fields.get("_TRANSPORT") == "kernel" and self._origin != "pod"
        node = self._node or str(fields.get("_HOSTNAME", ""))
        return Line(clean(text), "kernel" if kernel else "program", node, at, self._source)

    def _line(self, text: str, at: float | None) -> Line:
        text = clean(text)
        found = stamps.read(text, self._near)
        kind: Kind = "program"
        # A container may print anything, also a page about this bug: only a node's own log speaks for the kernel.
        if self._origin == "kernel" or (self._origin == "node" and found.kernel):
            kind = "kernel"
        node = self._node or (found.host if self._origin != "pod" else "")
        return Line(found.message, kind, node, at if at is not None else found.at, self._source)


def clean(text: str) -> str:
    """Without colour codes, NUL bytes and carriage returns; lone surrogates of JSON escapes become question marks."""
    text = _COLOUR.sub("", text) if "\x1b" in text or "#033" in text else text
    return text.replace("\0", "").rstrip("\r\n").encode("utf-8", "replace").decode()


def _object(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _unwrapped(text: str) -> str:
    """A program's JSON as the texts in it, decoded; other text as it is."""
    fields = _object(text)
    return text if fields is None else " ".join(_texts(fields, _DEPTH))


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item, depth - 1)


def _bytes(values: list[Any]) -> bytes:
    return bytes(value for value in values if isinstance(value, int) and 0 <= value < 256)
