"""What a collector is told: one JSON file, written by SoakTest."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pulumi_nodepools.soak.evidence import Subject
from pulumi_nodepools.soak.model import Signature, SignatureSet


@dataclass(frozen=True)
class Settings:
    """Whose evidence is kept where, and what is looked for.

    `nodes` is the label selector of the canary's nodes; `interval` the seconds from one look to the next.
    """

    subject: Subject
    nodes: str
    namespace: str
    sets: tuple[SignatureSet, ...]
    interval: float = 15.0

    @property
    def windows(self) -> dict[str, float]:
        """The correlation window of each set."""
        return {one.name: one.window for one in self.sets}

    def to_json(self) -> str:
        """Stable text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def read(cls, path: Path) -> "Settings":
        """What `to_json` wrote."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        sets = tuple(_set(one) for one in raw["sets"])
        return cls(Subject(**raw["subject"]), raw["nodes"], raw["namespace"], sets, float(raw["interval"]))


def _set(raw: Mapping[str, Any]) -> SignatureSet:
    signatures = tuple(Signature(**one) for one in raw["signatures"])
    return SignatureSet(raw["name"], signatures, raw["window"])
