"""The availability record of one scenario: watched from outside the whole time, judged at its end, kept as JSON."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.claims import single_replica_services
from sandbox.engine import REPOSITORY
from sandbox.recorder import Ledger, Recorder
from sandbox.traffic import DataPath, Route, document
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
def uninterrupted(cloud: Cloud, pool: str, scenario: str, routes: Sequence[Route] = ()) -> Iterator[Scenario]:
    """Record the block; fails if a service or a budget was interrupted in it, or if the record has a gap.

    Clients send requests by `routes` meanwhile, and none may be lost. `out/e2e/<scenario>.json` is written in any case.
    """
    recorder = Recorder(cloud.client, pool).start()
    recorded = Scenario(recorder.ledger)
    began, since = time.monotonic(), time.time()
    finished = False
    try:
        yield recorded
        finished = True
    finally:
        ledger = recorder.stop()
        # Only single replicas are foreseen: nothing can move them without a moment of absence.
        foreseen = single_replica_services(cloud.client)
        found = [asdict(one) for one in ledger.interruptions if one.kind != "service" or one.subject not in foreseen]
        kept = {
            "schemaVersion": 1,
            "scenario": scenario,
            "finished": finished,
            "seconds": round(time.monotonic() - began, 1),
            "measured": recorded.measured,
            "interruptions": found,
            "gaps": recorder.gaps,
            "capacity": ledger.capacity,
        }
        if routes:
            kept["requests"] = _requests(cloud, ledger, routes, since)
        OUTPUT.mkdir(parents=True, exist_ok=True)
        (OUTPUT / f"{scenario}.json").write_text(json.dumps(kept, indent=2) + "\n")
    assert not recorder.gaps, recorder.gaps
    assert not found, found
    assert not routes or kept["requests"]["lost"] == 0, kept["requests"]


def _requests(cloud: Cloud, ledger: Ledger, routes: Sequence[Route], since: float) -> dict[str, Any]:
    path, now = DataPath.recorded(cloud.sandbox.aws_endpoint, ledger), time.time()
    return document({route.service: path.requests(route, since, now) for route in routes})
