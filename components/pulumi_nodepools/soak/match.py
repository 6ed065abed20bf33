"""Which lines carry a signature: one line at a time, in the order of their log."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pulumi_nodepools.soak.model import LINE_LIMIT, Hit, Line, Signature, SignatureSet, heavier


class Pattern(Protocol):
    """What `re` and RE2 have in common."""

    def search(self, text: str, /) -> Any: ...


Compile = Callable[[str], Pattern]
"""RE2 where users' patterns meet a command; the standard library's `re` inside the collector."""


@dataclass(frozen=True)
class _Compiled:
    signature: Signature
    pattern: Pattern
    lowered_by: Pattern | None


class Matcher:
    """Finds signatures. A hit that the next kernel line may lower is held back until that line or `finish`."""

    def __init__(self, sets: Sequence[SignatureSet], compile_: Compile) -> None:
        self._sets = [
            (
                one.name,
                [
                    _Compiled(item, compile_(item.pattern), compile_(item.lowered_by) if item.lowered_by else None)
                    for item in one.signatures
                ],
            )
            for one in sets
        ]
        self._held: dict[tuple[str, str], list[tuple[Hit, Pattern]]] = {}

    def feed(self, line: Line) -> Iterator[Hit]:
        """Hits that are certain once this line is seen; at most one of each set for one line, the heaviest."""
        if line.kind == "kernel":
            yield from self._released(line)
        for name, compiled in self._sets:
            if found := self._heaviest(compiled, line):
                hit = _hit(name, found.signature, line)
                if found.lowered_by:
                    self._held.setdefault((line.node, line.source), []).append((hit, found.lowered_by))
                else:
                    yield hit

    def matches(self, line: Line) -> bool:
        """Whether the line carries any signature or may lower one; changes nothing."""
        return any(
            self._heaviest(compiled, line)
            or any(one.lowered_by and one.lowered_by.search(line.text) for one in compiled)
            for _, compiled in self._sets
        )

    def finish(self) -> Iterator[Hit]:
        """The hits that no further line can lower, because the logs have ended."""
        for held in self._held.values():
            yield from (hit for hit, _ in held)
        self._held.clear()

    def _released(self, line: Line) -> Iterator[Hit]:
        for hit, lowered_by in self._held.pop((line.node, line.source), ()):
            yield replace(hit, weight="weak", anchor=False) if lowered_by.search(line.text) else hit

    @staticmethod
    def _heaviest(compiled: Sequence[_Compiled], line: Line) -> _Compiled | None:
        best: _Compiled | None = None
        for one in compiled:
            worth_it = best is None or heavier(one.signature.weight, best.signature.weight)
            if worth_it and one.signature.kind == line.kind and one.pattern.search(line.text):
                best = one
        return best


def _hit(name: str, signature: Signature, line: Line) -> Hit:
    return Hit(
        set=name,
        signature=signature.id,
        weight=signature.weight,
        line=_shown(line.text),
        node=line.node,
        at=line.at,
        source=line.source,
        raised=signature.raised,
        anchor=signature.anchor,
    )


def _shown(text: str) -> str:
    """What is kept of a line; control characters would speak to the terminal that shows it."""
    text = text.strip()[:LINE_LIMIT].replace("\t", " ")
    return "".join(char if char.isprintable() else "?" for char in text)
