"""Our drain beside `kubectl drain` and the floor of raw evictions, in one run on a real control plane.

Writes out/bench/drain.json and out/bench/drain.svg, prints a table, and exits 1 when a target of the design is missed.
Times are of this machine at this moment: only the ratios within one run say anything.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from sandbox import binaries
from sandbox.control_plane import ControlPlane
from tests.bench import racers
from tests.bench.chart import bars
from tests.bench.moments import waiting
from tests.bench.racers import Run
from tests.bench.stage import Stage

OUT = Path("out/bench")
_ALL_AT_ONCE = ("--unbudgeted", "all", "--batch-size", "100%")
_PATIENT = ("--timeout", "20m", "--unbudgeted", "all")


class Bench:
    """One run: races over the same workloads, then the two moments."""

    def __init__(self, stage: Stage, kubectl: Path, nodes: int, pods: int) -> None:
        self.stage, self.kubectl = stage, kubectl
        self.nodes, self.pods = nodes, pods
        self.users = {name: stage.user(name) for name in ("floor", "ours", "kubectl")}
        self.races: list[dict[str, Any]] = []
        self.moments: list[dict[str, Any]] = []
        self._turn = 0

    def prepare(self) -> None:
        """The first pool, with all workloads on it."""
        self.stage.pool("pool-0", self.nodes)
        self.stage.fill(self.pods)

    def race(self, racer: str) -> None:
        """Empty the pool that the workloads are on; afterwards they are on the next one."""
        pool = f"pool-{self._turn}"
        self._turn += 1
        self.stage.pool(f"pool-{self._turn}", self.nodes)
        self.stage.wait_ready(self.pods)
        before = self.stage.requests(racer)
        run = self._run(racer, pool)
        requests = self.stage.requests(racer) - before
        self.races.append(run.to_json(requests, self.pods))
        say(f"{racer:<8} {run.seconds:7.1f} s  {requests / self.pods:5.2f} requests per pod  {run.peak_mib or '-'} MiB")
        self.stage.wait_ready(self.pods)
        if any(pod["spec"]["nodeName"].startswith(f"{pool}-") for pod in self.stage.pods()):
            raise RuntimeError(f"{racer} left pods on {pool}")
        self.stage.remove(f"{pool}-{index}" for index in range(self.nodes))

    def _run(self, racer: str, pool: str) -> Run:
        user = self.users[racer]
        if racer == "floor":
            self.stage.cordon(f"{pool}-{index}" for index in range(self.nodes))
            return racers.floor(user, self.stage.pods())
        if racer == "ours":
            return racers.ours(user, pool, *_ALL_AT_ONCE)
        return racers.kubectl(self.kubectl, user, pool)

    def wait_for_budgets(self, racer: str, budgets: int) -> None:
        """How soon it explains, and how soon it reacts."""
        pool, user = f"held-{racer}", self.users[racer]
        drains: dict[str, Callable[[Callable[[str], None]], Run]] = {
            "ours": lambda hear: racers.ours(user, f"{pool}", *_PATIENT, hear=hear),
            "kubectl": lambda hear: racers.kubectl(self.kubectl, user, f"{pool}", hear=hear),
        }
        found = waiting(self.stage, pool, budgets, drains[racer]).to_json(racer)
        self.moments.append(found)
        say(
            f"{racer:<8} first word of a blocked pod after {found['explainedSeconds']} s; a freed budget used after "
            f"{found['reactionMedianSeconds']} s, at most {found['reactionMaxSeconds']} s"
        )


def targets(races: list[dict[str, Any]], moments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The design's limits, each with what was measured. A ratio is of medians within this run."""
    seconds = {name: median(r["seconds"] for r in races if r["racer"] == name) for name in {r["racer"] for r in races}}
    ours = [race for race in races if race["racer"] == "ours"]
    (moment,) = [one for one in moments if one["racer"] == "ours"]
    measured = [
        ("time beside the floor of raw evictions", "<=", 1.3, seconds["ours"] / seconds["floor"]),
        ("requests per pod", "<=", 2.0, max(race["requestsPerPod"] for race in ours)),
        ("peak of resident memory, MiB", "<=", 120.0, max(race["peakMiB"] for race in ours)),
        ("a freed budget is used, s", "<=", 1.0, moment["reactionMaxSeconds"]),
        ("a blocked pod is explained, s", "<=", 10.0, moment["explainedSeconds"]),
    ]
    if "kubectl" in seconds:
        measured.append(("times faster than kubectl drain", ">=", 6.0, seconds["kubectl"] / seconds["ours"]))
    return [
        {"what": what, "limit": f"{sign} {limit:g}", "measured": round(value, 2), "held": _held(sign, limit, value)}
        for what, sign, limit, value in measured
    ]


def _held(sign: str, limit: float, value: float) -> bool:
    return value <= limit if sign == "<=" else value >= limit


def machine() -> dict[str, Any]:
    """What it was measured on."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processors": os.cpu_count(),
        "model": model[0].partition(": ")[2] if model else platform.machine(),
        "memoryGiB": round(memory, 1),
        "python": platform.python_version(),
        "kubernetes": binaries.KUBERNETES,
        "loadBefore": round(os.getloadavg()[0], 2),
    }


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2, help="races of ours and of the floor, in turns")
    parser.add_argument("--budgets", type=int, default=8, help="budgets that free one after the other")
    parser.add_argument("--without-kubectl", action="store_true", help="leave out the slow one")
    options = parser.parse_args()
    where, paths = machine(), binaries.locate().paths
    with tempfile.TemporaryDirectory(prefix="nodepools-bench-") as folder:
        plane = ControlPlane(Path(folder), paths)
        plane.start()
        try:
            bench = Bench(Stage(plane), paths["kubectl"], options.nodes, options.pods)
            run(bench, options)
        finally:
            plane.stop()
    return conclude(bench, where)


def run(bench: Bench, options: argparse.Namespace) -> None:
    """Floor and ours in turns, so that whatever else the machine does is in both."""
    others = () if options.without_kubectl else ("kubectl",)
    bench.prepare()
    for racer in (*("floor", "ours") * options.rounds, *others):
        bench.race(racer)
    for racer in ("ours", *others):
        bench.wait_for_budgets(racer, options.budgets)


def conclude(bench: Bench, where: dict[str, Any]) -> int:
    """Write it down; 1 if a target was missed."""
    checked = targets(bench.races, bench.moments)
    body = {
        "schemaVersion": 1,
        "machine": where,
        "nodes": bench.nodes,
        "pods": bench.pods,
        "races": bench.races,
        "moments": bench.moments,
        "targets": checked,
    }
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "drain.json").write_text(json.dumps(body, indent=2) + "\n")
    rows = [(race["racer"], race["seconds"], f"{race['seconds']:.0f} s") for race in bench.races]
    title = f"{bench.nodes} nodes, {bench.pods} pods: seconds until the nodes are empty"
    (OUT / "drain.svg").write_text(bars(title, rows))
    for target in checked:
        held = "held  " if target["held"] else "MISSED"
        say(f"{held} {target['what']}: {target['measured']} ({target['limit']})")
    say(f"written to {OUT / 'drain.json'} and {OUT / 'drain.svg'}")
    return 0 if all(target["held"] for target in checked) else 1


if __name__ == "__main__":
    sys.exit(main())
