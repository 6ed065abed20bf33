"""The words of a soak: lines, signatures, hits. Nothing here reads, matches or judges."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["kernel", "program"]
"""Who wrote a line: the kernel, or any program on the node or in a pod."""
Origin = Literal["kernel", "node", "pod"]
"""Where text was read: a kernel log, a node's mixed journal (the prefix tells), or a container's output."""
Weight = Literal["definite", "strong", "weak", "noise"]
WEIGHTS: tuple[Weight, ...] = ("definite", "strong", "weak", "noise")
"""From proof to nothing. `noise` is not told unless something near it raises it."""
LINE_LIMIT = 500
"""Characters of a line that are kept in a hit."""


@dataclass(frozen=True)
class Line:
    """One logical line. `at` is seconds since the epoch, None when the line does not say; "" is an unknown node."""

    text: str
    kind: Kind
    node: str = ""
    at: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Signature:
    """One pattern. With an anchor of its set near it the weight becomes `raised`.

    `lowered_by` is looked for in the kernel line that follows: if it is there, the hit is only weak and no anchor.
    """

    id: str
    kind: Kind
    pattern: str
    weight: Weight
    raised: Weight | None = None
    anchor: bool = False
    lowered_by: str = ""


@dataclass(frozen=True)
class SignatureSet:
    """The signatures of one bug. `window`: how many seconds may lie between a hit and its anchor, inclusive."""

    name: str
    signatures: tuple[Signature, ...]
    window: float = 60.0


@dataclass(frozen=True)
class Hit:
    """A line that a signature matched. `near` names the anchor that raised its weight."""

    set: str
    signature: str
    weight: Weight
    line: str
    node: str
    at: float | None
    source: str
    raised: Weight | None = None
    anchor: bool = False
    near: str = ""


def heavier(one: Weight, other: Weight) -> bool:
    """Whether `one` proves more than `other`."""
    return WEIGHTS.index(one) < WEIGHTS.index(other)
