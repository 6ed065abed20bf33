"""One thing that a preflight found: how bad, why, what, and what would help. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pulumi_nodepools.drain.model import Diagnosis

Severity = Literal["never", "blocker", "warning", "info"]
"""never: no waiting clears it · blocker: the drain would stop on it now · warning: it interrupts, delays or loses
something · info: worth knowing."""


@dataclass(frozen=True)
class Finding:
    """`object` is a kind and a path, such as `budget shop/web`; `acknowledged` ones stop nothing."""

    severity: Severity
    reason: str
    object: str
    message: str
    fix: str
    node: str = ""
    numbers: Mapping[str, int | float | str] = field(default_factory=dict)
    acknowledged: bool = False

    @classmethod
    def of(cls, severity: Severity, diagnosis: Diagnosis) -> "Finding":
        """A diagnosis that can be made before the drain."""
        what = (diagnosis.reason, diagnosis.object, diagnosis.message, diagnosis.fix, diagnosis.node)
        return cls(severity, *what, dict(diagnosis.numbers))

    @property
    def thing(self) -> str:
        """The object without its kind, as `drain.acknowledge` names it."""
        return self.object.partition(" ")[2]

    def diagnosis(self) -> Diagnosis:
        """The same in the shape of a report."""
        return Diagnosis(self.reason, self.object, self.node, self.message, self.fix, self.numbers)

    def to_json(self) -> dict[str, Any]:
        """The entry of `preflight --output json`."""
        return {"severity": self.severity, "acknowledged": self.acknowledged, **self.diagnosis().to_json()}

    def __str__(self) -> str:
        where = f" on {self.node}" if self.node else ""
        mark = f"{self.severity}, acknowledged" if self.acknowledged else self.severity
        return f"{mark}: {self.object}{where}: {self.reason}: {self.message}. Fix: {self.fix}"
