"""How a drain grows: `nodepools drain` over 10 to 1000 nodes with 30 pods each, settings as users have them.

10 and 100 nodes on the sandbox's real control plane, with the processor time of each of its parts; 10 to 1000 on a
simulated API, where nothing but the drain is the limit. Writes out/bench/scale.json and out/bench/scale.svg; exit 1
when more than 300 MiB are used, or a pod among 1000 nodes costs over 20 % more processor time than one among 300.

Processor time it is, because other work on the machine disturbs it least. What it disturbs is only ever added: a shape
that seems to grow is measured once more, and the less of each size counts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from sandbox import binaries
from sandbox.control_plane import ControlPlane
from sandbox.processes import Processes
from tests.bench import racers
from tests.bench.chart import bars
from tests.bench.drain_speed import machine, say
from tests.bench.simulated_api import PODS_PER_NODE
from tests.bench.stage import Stage

OUT = Path("out/bench")
MEMORY_LIMIT = 300.0
GROWTH_LIMIT = 1.2
SHAPES = {
    "workloads of 10": (),
    "workloads of 10, each with a budget": ("--budgets",),
    "workloads of 1000": ("--peers", "1000"),
    "workloads of 1000, each with a budget": ("--peers", "1000", "--budgets"),
}
Row = dict[str, Any]


def grown(shape: str, sizes: list[int], folder: Path) -> list[Row]:
    """One drain of each size, and of the three largest another one if the first say that it grows."""
    rows = [simulated(nodes, shape, folder) for nodes in sizes]
    if growth(rows) > GROWTH_LIMIT:
        for index in range(len(rows) - 3, len(rows)):
            again = simulated(sizes[index], shape, folder)
            rows[index] = min(rows[index], again, key=lambda row: float(row["cpuSeconds"])) | {"runs": 2}
    return rows


def simulated(nodes: int, shape: str, folder: Path) -> Row:
    """One drain in front of an API in a process of its own."""
    with _api(nodes, *SHAPES[shape]) as address:
        run = racers.ours(_kubeconfig(folder, address), "old", "--total-timeout", "6h")
        with urllib.request.urlopen(f"{address}/count") as answer:
            requests = json.load(answer)["requests"]
    return _row("simulated API", shape, nodes, run, requests)


@contextmanager
def _api(nodes: int, *options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.bench.simulated_api", str(nodes), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def _kubeconfig(folder: Path, address: str) -> Path:
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "clusters": [{"name": "bench", "cluster": {"server": address}}],
        "users": [{"name": "bench", "user": {}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(body))
    return path


def real(sizes: list[int]) -> Iterator[Row]:
    """One drain of each size on the real control plane, and what its parts did meanwhile."""
    with tempfile.TemporaryDirectory(prefix="nodepools-bench-") as folder:
        plane = ControlPlane(Path(folder), binaries.locate().paths)
        plane.start()
        try:
            stage = Stage(plane)
            user = stage.user("scale")
            for nodes in sizes:
                yield _real(stage, user, nodes)
        finally:
            plane.stop()


def _real(stage: Stage, user: Path, nodes: int) -> Row:
    pods = nodes * PODS_PER_NODE
    old, new = (stage.pool(f"{pool}-{nodes}", nodes) for pool in ("old", "new"))
    stage.cordon(new)
    stage.fill(pods)
    stage.cordon(new, closed=False)
    requests, before = stage.requests("scale"), _processor_seconds(stage)
    run = racers.ours(user, f"old-{nodes}", "--total-timeout", "6h")
    after = _processor_seconds(stage)
    row = _row("control plane", "workloads of 10", nodes, run, stage.requests("scale") - requests)
    row["processorSeconds"] = {
        "drain": run.cpu_seconds,
        **{name: round(after[name] - before[name], 1) for name in before},
    }
    stage.empty()
    stage.remove([*old, *new])
    return row


def _processor_seconds(stage: Stage) -> dict[str, float]:
    """What each part of the control plane has used since its start."""
    used, processes = {}, Processes(stage.plane.root)
    for name in processes.names():
        fields = Path(f"/proc/{processes.pid(name)}/stat").read_text().rpartition(") ")[2].split()
        used[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def _row(where: str, shape: str, nodes: int, run: racers.Run, requests: int) -> Row:
    row = {"where": where, "shape": shape, "nodes": nodes, "pods": nodes * PODS_PER_NODE}
    row |= run.to_json(requests, nodes * PODS_PER_NODE)
    say(
        f"{where:<13} {shape:<37} {nodes:>4} nodes {run.seconds:>6.1f} s  processor {run.cpu_seconds:>5.1f} s  "
        f"{row['requestsPerPod']:.2f} requests per pod  {run.peak_mib} MiB"
    )
    return row


def missed(rows: list[Row]) -> Iterator[str]:
    """The limits that do not hold. What a process costs at its start is in every size: it falls out of a difference."""
    for row in rows:
        if row["peakMiB"] > MEMORY_LIMIT:
            yield f"{row['shape']}, {row['nodes']} nodes: {row['peakMiB']} MiB (limit {MEMORY_LIMIT:g})"
    for shape in SHAPES:
        more = growth(_of(rows, shape))
        if more > GROWTH_LIMIT:
            yield f"{shape}: a pod costs {more:.2f} times as much among the most nodes (limit {GROWTH_LIMIT})"


def _of(rows: list[Row], shape: str) -> list[Row]:
    return [row for row in rows if row["shape"] == shape and row["where"] == "simulated API"]


def growth(rows: list[Row]) -> float:
    """How many times as much a pod costs between the two largest sizes as between the two before, of one shape."""
    small, middle, large = sorted(rows, key=lambda row: int(row["pods"]))[-3:]
    return _each(middle, large) / _each(small, middle)


def _each(less: Row, more: Row) -> float:
    """Processor seconds for each pod that one size has more than the other."""
    return float(more["cpuSeconds"] - less["cpuSeconds"]) / (more["pods"] - less["pods"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 300, 1000], help="three at least")
    parser.add_argument("--real-sizes", type=int, nargs="*", default=[10, 100])
    options = parser.parse_args()
    where, rows = machine(), list(real(options.real_sizes))
    with tempfile.TemporaryDirectory(prefix="nodepools-bench-") as folder:
        for shape in SHAPES:
            rows += grown(shape, sorted(options.sizes), Path(folder))
    failed = list(missed(rows))
    OUT.mkdir(parents=True, exist_ok=True)
    growths = {shape: round(growth(_of(rows, shape)), 2) for shape in SHAPES}
    body = {"schemaVersion": 1, "machine": where, "results": rows, "growth": growths, "failed": failed}
    (OUT / "scale.json").write_text(json.dumps(body, indent=2) + "\n")
    bar = [
        (f"{row['nodes']}{label}", row["cpuSeconds"], f"{row['cpuSeconds']:.1f} s, {row['peakMiB']:.0f} MiB")
        for label, shape in ((" nodes", "workloads of 10"), (", budgets", "workloads of 10, each with a budget"))
        for row in _of(rows, shape)
    ]
    (OUT / "scale.svg").write_text(bars("Processor time of a drain, 30 pods on each node, and its peak of memory", bar))
    for line in failed:
        say(f"MISSED {line}")
    say(f"written to {OUT / 'scale.json'} and {OUT / 'scale.svg'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
