"""The availability record of one scenario: watched from outside the whole time, judged at its end, kept as JSON."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from sandbox.claims import single_replica_services
from sandbox.engine import REPOSITORY
from sandbox.recorder import Ledger, Recorder
from tests.engine_case import Cloud

OUTPUT = REPOSITORY / "out" / "e2e"


@dataclass
class Scenario:
    """What was seen so far, and a place for the seconds that a scenario measures."""

    ledger: Ledger
    measured: dict[str, float] = field(default_factory=dict)

    def first(self, version: str, nodes: int, since: float) -> float:
        """When, after `since`, so many nodes of the version were ready and schedulable."""
        return next(
            float(point["time"])
            for point in self.ledger.capacity
            if point["time"] >= since and point["versions"].get(version, 0) == nodes
        )


@contextmanager
def uninterrupted(cloud: Cloud, pool: str, scenario: str) -> Iterator[Scenario]:
    """Record the block; fails if a service or a budget was interrupted in it, or if the record has a gap.

    `out/e2e/<scenario>.json` is written in any case.
    """
    recorder = Recorder(cloud.client, pool).start()
    recorded = Scenario(recorder.ledger)
    began = time.monotonic()
    finished = False
    try:
        yield recorded
        finished = True
    finally:
        ledger = recorder.stop()
        # Only single replicas are foreseen: nothing can move them without a moment of absence.
        foreseen = single_replica_services(cloud.client)
        found = [asdict(one) for one in ledger.interruptions if one.kind != "service" or one.subject not in foreseen]
        document = {
            "schemaVersion": 1,
            "scenario": scenario,
            "finished": finished,
            "seconds": round(time.monotonic() - began, 1),
            "measured": recorded.measured,
            "interruptions": found,
            "gaps": recorder.gaps,
            "capacity": ledger.capacity,
        }
        OUTPUT.mkdir(parents=True, exist_ok=True)
        (OUTPUT / f"{scenario}.json").write_text(json.dumps(document, indent=2) + "\n")
    assert not recorder.gaps, recorder.gaps
    assert not found, found
