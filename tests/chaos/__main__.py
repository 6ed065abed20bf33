"""Plays seeded schedules of faults and says what broke: python -m tests.chaos [--seeds N | --seed N] [--lanes N]

Leaves out/chaos/summary.json, and for every seed its story beside it. Exit code 1 after any violation, and if a kind of
fault was never met.
"""

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from sandbox.engine import REPOSITORY
from tests.chaos.invariants import Story, Violation
from tests.chaos.roll import Outcome, Roll
from tests.chaos.schedule import KINDS, ROUND, Schedule, draw
from tests.chaos.stage import SIZE, TIMES, Stage, running_stage

OUT = REPOSITORY / "out" / "chaos"


def main() -> int:
    """0 if no invariant was violated, and a whole round of schedules met every kind of fault."""
    asked = _arguments()
    schedules = [
        draw(seed)
        for seed in ([asked.seed] if asked.seed is not None else range(asked.first, asked.first + asked.seeds))
    ]
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    began = time.monotonic()
    with running_stage() as stage:
        together = [one for one in schedules if not one.alone]
        with ThreadPoolExecutor(asked.lanes) as lanes:
            outcomes = list(lanes.map(lambda schedule: _played(stage, schedule), together))
        outcomes += [_played(stage, schedule) for schedule in schedules if schedule.alone]
    summary = summarise(outcomes, time.monotonic() - began)
    (OUT / "summary.json").write_text(json.dumps(summary, indent=1))
    for failed in summary["violations"]:
        print(f"VIOLATION {failed['kind']}: {failed['detail']}\n  replay: {failed['replay']}")
    if summary["neverMet"]:
        print(f"NEVER MET: {', '.join(summary['neverMet'])}: so many schedules have to meet every kind of fault")
    print(f"{summary['schedules']} schedules, {len(summary['violations'])} violations, {summary['seconds']} s")
    return 1 if summary["violations"] or summary["neverMet"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="seeded schedules of faults")
    parser.add_argument("--seeds", type=int, default=ROUND, help=f"how many ({ROUND}: every kind of fault leads once)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--lanes", type=int, default=2, help="how many pools at once (2)")
    return parser.parse_args()


def _played(stage: Stage, schedule: Schedule) -> Outcome:
    began = time.monotonic()
    try:
        outcome = Roll(stage, schedule, OUT / f"seed-{schedule.seed}").run()
    except Exception as error:  # noqa: BLE001 - whatever it is, the other schedules are to be played
        unjudged = Violation("unwatched", f"could not be judged: {type(error).__name__}: {error}")
        outcome = Outcome(schedule, Story(SIZE, TIMES), violations=[unjudged])
    ends = ", ".join(run.end for run in outcome.story.runs)
    bad = f" {len(outcome.violations)} VIOLATIONS" if outcome.violations else ""
    print(f"seed {schedule.seed}: {time.monotonic() - began:.0f} s, {ends}{bad} ({schedule})", flush=True)
    _keep(outcome)
    return outcome


def _keep(outcome: Outcome) -> None:
    story = asdict(outcome.story) | {"schedule": str(outcome.schedule), "injected": outcome.injected}
    story["violations"] = [asdict(one) for one in outcome.violations]
    path = OUT / f"seed-{outcome.schedule.seed}" / "story.json"
    path.write_text(json.dumps(story, indent=1, default=sorted))


def summarise(outcomes: list[Outcome], seconds: float) -> dict[str, Any]:
    """The numbers of all rolls: which faults were really met, how first runs ended, what was violated.

    `neverMet` are the kinds that a whole round of schedules should have met and did not.
    """
    injected = sum((one.injected for one in outcomes), Counter[str]())
    return {
        "schemaVersion": 1,
        "schedules": len(outcomes),
        "seconds": round(seconds),
        "firstRuns": Counter(one.story.runs[0].end for one in outcomes if one.story.runs),
        "faults": {kind: injected[kind] for kind in KINDS},
        "neverMet": [kind for kind in KINDS if len(outcomes) >= ROUND and not injected[kind]],
        "violations": [
            {
                "seed": one.schedule.seed,
                "schedule": str(one.schedule),
                **asdict(violation),
                "replay": f"make chaos SEED={one.schedule.seed}",
            }
            for one in outcomes
            for violation in one.violations
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
