"""How the drain's machine grows: 100 to 1000 nodes with 30 pods each, told event by event. No cluster is started.

Each size runs in a process of its own, so that its peak of resident memory is its own. It prints one table and writes
out/bench/drain_scale.json. Exit 1 when a limit of the design does not hold: 300 MiB, and a cost per pod that no more
than doubles from the smallest size to the largest (other work on the machine is in it; squares would show as tenfold).
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import msgspec

from pulumi_nodepools.drain.events import (
    Answered,
    AskGuard,
    CordonNode,
    Event,
    Evict,
    Gone,
    GuardPassed,
    Patched,
    Seen,
    Synced,
    TaintNode,
    Tick,
)
from pulumi_nodepools.drain.machine import step
from pulumi_nodepools.drain.model import BudgetView, ControllerView, NodeView, Owner, PodView, Resources, Taint
from pulumi_nodepools.drain.report import make_report
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.state import State
from pulumi_nodepools.names import DRAINING_TAINT, OWNER_ANNOTATION

OWNER = "bench/v1"
PODS_PER_NODE = 30
MEMORY_LIMIT = 300.0
GROWTH_LIMIT = 2.0
_PEERS = 1000
"""Pods of one workload: with `few`, a cluster has few and large ones."""


class Cluster:
    """Answers at once and tells what follows: evicted pods end, and their replacements become ready elsewhere."""

    def __init__(self, nodes: int, shape: str) -> None:
        self.now, self.serial = 0.0, 0
        self.inbox: deque[Event] = deque()
        self.peers = _PEERS if shape.startswith("few") else 10
        self.budgets = shape.endswith("budgets")
        settings = DrainSettings(batch_size="10%", node_timeout=86_000, total_timeout=86_400)
        self.state = State(settings, OWNER, lambda node: node.name.startswith("old"), now=0.0, wall=1_000_000.0)
        self.nodes: dict[str, NodeView] = {}
        self.ready: dict[str, int] = {}
        self._fill(nodes)

    def _fill(self, nodes: int) -> None:
        for index in range(nodes):
            for pool in ("old", "new"):
                name = f"{pool}-{index}.us-west-2.compute.internal"
                self._put_node(NodeView(name=name, labels={"kubernetes.io/hostname": name, "pool": pool}))
        total = nodes * PODS_PER_NODE
        for app in range(0, total, self.peers):
            name = f"app-{app}"
            size = min(self.peers, total - app)
            self.ready[name] = size
            self.inbox.append(
                Seen(ControllerView(kind="ReplicaSet", namespace="prod", name=name, uid=name, desired=size))
            )
            self._tell_budget(name)
        for index in range(total):
            self._put_pod(f"app-{index - index % self.peers}", f"old-{index % nodes}.us-west-2.compute.internal")
        self.inbox.append(Synced())

    def _put_node(self, node: NodeView) -> None:
        self.nodes[node.name] = node
        self.inbox.append(Seen(node))

    def _put_pod(self, app: str, node: str) -> None:
        self.serial += 1
        pod = PodView(
            namespace="prod",
            name=f"{app}-{self.serial}",
            uid=f"00000000-0000-0000-0000-{self.serial:012d}",
            node=node,
            labels={"app": app},
            owner=Owner("ReplicaSet", "apps/v1", app, app),
            requests=Resources(100, 2**27, 1),
        )
        self.inbox.append(Seen(pod))

    def _tell_budget(self, app: str) -> None:
        if self.budgets:
            size, ready = self.peers, self.ready[app]
            needed = size - max(1, size // 10)
            view = BudgetView(
                namespace="prod",
                name=app,
                uid="b-" + app,
                match_labels={"app": app},
                allowed=max(0, ready - needed),
                healthy=ready,
                needed=needed,
                expected=size,
            )
            self.inbox.append(Seen(view))

    def run(self) -> None:
        while not self.state.finish:
            if not self.inbox:
                wake = self.state.wake()
                assert wake is not None, "nothing can happen any more"
                self.now = max(self.now, wake)
                self.inbox.append(Tick())
            self.now += 0.0005
            for action in step(self.state, self.inbox.popleft(), self.now):
                self._do(action)
        assert self.state.finish.outcome == "drained", self.state.finish

    def _do(self, action: object) -> None:
        match action:
            case Evict():
                self._evict(action)
            case TaintNode(name):
                taint = (Taint(DRAINING_TAINT, "PreferNoSchedule"),)
                self._patch(name, "taint", taints=taint, annotations={OWNER_ANNOTATION: OWNER})
            case CordonNode(name):
                self._patch(name, "cordon", unschedulable=True)
            case AskGuard():
                self.inbox.append(GuardPassed())

    def _patch(self, name: str, what: str, **fields: object) -> None:
        self._put_node(msgspec.structs.replace(self.nodes[name], **fields))
        self.inbox.append(Patched(name, what, 200))  # type: ignore[arg-type]

    def _evict(self, action: Evict) -> None:
        pod = self.state.world.pods[action.uid]
        app = pod.labels["app"]
        self.ready[app] -= 1
        self.inbox.append(Seen(msgspec.structs.replace(pod, deleted_at=1_000_000.0 + self.now + 30)))
        self._tell_budget(app)
        self.inbox.append(Answered(action.uid, 201))
        self.inbox.append(Gone("pods", action.uid))
        self._put_pod(app, pod.node.replace("old", "new"))
        self.ready[app] += 1
        self._tell_budget(app)


def measure(nodes: int, shape: str) -> dict[str, float | int | str]:
    """One drain in this process."""
    cluster = Cluster(nodes, shape)
    began = time.process_time()
    cluster.run()
    seconds = time.process_time() - began
    began = time.process_time()
    make_report(cluster.state, cluster.now, events=[], api_calls={}).to_json()
    report = time.process_time() - began
    pods = nodes * PODS_PER_NODE
    return {
        "shape": shape,
        "nodes": nodes,
        "pods": pods,
        "seconds": round(seconds, 2),
        "microsecondsPerPod": round(seconds / pods * 1e6, 1),
        "reportSeconds": round(report, 2),
        "peakMiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs=2, metavar=("NODES", "SHAPE"), help="one size in this process, as JSON")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 1000])
    options = parser.parse_args()
    if options.only:
        say(json.dumps(measure(int(options.only[0]), options.only[1])))
        return 0
    results, failed = [], []
    for shape in ("many", "many-budgets", "few", "few-budgets"):
        rows = [run_alone(size, shape) for size in options.sizes]
        results += rows
        growth = rows[-1]["microsecondsPerPod"] / rows[0]["microsecondsPerPod"]
        if growth > GROWTH_LIMIT:
            failed.append(f"{shape}: the cost per pod grows {growth:.2f} times (limit {GROWTH_LIMIT})")
        heavy = [row["peakMiB"] for row in rows if row["peakMiB"] > MEMORY_LIMIT]
        failed += [f"{shape}: {peak} MiB (limit {MEMORY_LIMIT})" for peak in heavy]
    out = Path("out/bench/drain_scale.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"schemaVersion": 1, "results": results, "failed": failed}, indent=2) + "\n")
    for line in failed:
        say(f"FAILED {line}")
    say(f"written to {out}")
    return 1 if failed else 0


def run_alone(nodes: int, shape: str) -> dict[str, float]:
    """One size in a process of its own, printed as a line of the table."""
    command = [sys.executable, __file__, "--only", str(nodes), shape]
    row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    say(
        f"{row['shape']:<13} {row['nodes']:>5} nodes {row['pods']:>6} pods {row['seconds']:>7.2f} s "
        f"{row['microsecondsPerPod']:>7.1f} us/pod  report {row['reportSeconds']:.2f} s  {row['peakMiB']:>6.1f} MiB"
    )
    return row


if __name__ == "__main__":
    sys.exit(main())
