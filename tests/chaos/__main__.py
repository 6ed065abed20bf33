"""Plays seeded schedules of faults and says what broke: python -m tests.chaos [--seeds N | --seed N] [--lanes N]

Leaves out/chaos/summary.json, and for every seed its story beside it. A kind of fault that a round did not meet has one
more schedule, the next that it leads. Exit code 1 after any violation, and if a kind was not met then either.
"""

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from sandbox.engine import REPOSITORY
from tests.chaos.invariants import Story, Violation
from tests.chaos.roll import Outcome, Roll
from tests.chaos.schedule import KINDS, ROUND, Schedule, draw, leads_next
from tests.chaos.stage import SIZE, TIMES, Stage, running_stage

OUT = REPOSITORY / "out" / "chaos"


def main() -> int:
    """0 if no invariant was violated, and a whole round of schedules met every kind of fault."""
    asked = _arguments()
    seeds = [asked.seed] if asked.seed is not None else list(range(asked.first, asked.first + asked.seeds))
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    began = time.monotonic()
    with running_stage() as stage:
        outcomes, once_more = play(seeds, lambda schedules: _played_all(stage, schedules, asked.lanes))
    summary = summarise(outcomes, once_more, time.monotonic() - began)
    (OUT / "summary.json").write_text(json.dumps(summary, indent=1))
    for failed in summary["violations"]:
        print(f"VIOLATION {failed['kind']}: {failed['detail']}\n  replay: {failed['replay']}")
    if summary["neverMet"]:
        print(f"NEVER MET: {', '.join(summary['neverMet'])}: not in the round, and not when played once more")
    print(f"{summary['schedules']} schedules, {len(summary['violations'])} violations, {summary['seconds']} s")
    return 1 if summary["violations"] or summary["neverMet"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="seeded schedules of faults")
    parser.add_argument("--seeds", type=int, default=ROUND, help=f"how many ({ROUND}: every kind of fault leads once)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--lanes", type=int, default=2, help="how many pools at once (2)")
    return parser.parse_args()


def play(seeds: list[int], played: Callable[[list[Schedule]], list[Outcome]]) -> tuple[list[Outcome], dict[str, int]]:
    """The outcomes of these seeds, and those of what a whole round did not meet: kind, and the seed that was added.

    A schedule says at which request a fault begins; a run that ends before, because it was that much faster or slower,
    is no fault of what is tested. The added seed leads the same kind at another moment.
    """
    outcomes = played([draw(seed) for seed in seeds])
    missed = _never_met(outcomes) if len(seeds) >= ROUND else []
    once_more = {kind: leads_next(kind, seeds[-1] + 1) for kind in missed}
    for kind, seed in once_more.items():
        print(f"NOT MET: {kind}: once more with seed {seed}, which it leads", flush=True)
    return outcomes + played([draw(seed) for seed in sorted(set(once_more.values()))]), once_more


def _never_met(outcomes: list[Outcome]) -> list[str]:
    return [kind for kind in KINDS if not any(one.injected[kind] for one in outcomes)]


def _played_all(stage: Stage, schedules: list[Schedule], lanes: int) -> list[Outcome]:
    """Those that hit the whole sandbox after the others, and one by one."""
    with ThreadPoolExecutor(lanes) as pool:
        outcomes = list(pool.map(lambda one: _played(stage, one), [one for one in schedules if not one.alone]))
    return outcomes + [_played(stage, one) for one in schedules if one.alone]


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


def summarise(outcomes: list[Outcome], once_more: dict[str, int], seconds: float) -> dict[str, Any]:
    """The numbers of all rolls: which faults were really met, how first runs ended, what was violated.

    `onceMore` are the seeds that were added for kinds which a whole round had not met, `neverMet` the kinds that they
    did not meet either.
    """
    injected = sum((one.injected for one in outcomes), Counter[str]())
    return {
        "schemaVersion": 1,
        "schedules": len(outcomes),
        "seconds": round(seconds),
        "firstRuns": Counter(one.story.runs[0].end for one in outcomes if one.story.runs),
        "faults": {kind: injected[kind] for kind in KINDS},
        "onceMore": once_more,
        "neverMet": [kind for kind in once_more if not injected[kind]],
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
