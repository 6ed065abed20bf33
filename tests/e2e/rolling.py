"""A pool of two nodes whose replacement is held at a boundary, run after run, and what must be left at its end."""

import os
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from pulumi_nodepools import names
from pulumi_nodepools.aws.groups import FROZEN_PROCESSES
from pulumi_nodepools.cluster.lease import noted
from pulumi_nodepools.cluster.record import PoolRecord
from sandbox.engine import Config, Project
from sandbox.processes import session_members
from tests.e2e.boundaries import Old
from tests.e2e.versions import listing
from tests.engine_case import NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud
from tests.relay import Asked, Gate, Journal, Relays
from tests.started import UP, Engine

_OURS = (names.DRAINING_TAINT, names.OWNER_ANNOTATION, names.EXCLUSION_LABEL, names.QUARANTINE_LABEL)


class Roll:
    """One replacement, of which every run goes through relays of its own."""

    def __init__(self, cloud: Cloud, project: Project, pool: str, folder: Path) -> None:
        self.cloud, self.project, self.pool, self.app = cloud, project, pool, f"web-{pool}"
        self.journal = Journal()
        self.engines: list[Engine] = []
        self._folder = folder
        self._relays: list[Relays] = []
        self.pods: list[str] = []
        self.nodes: list[str] = []

    def begin(self, old: Old) -> None:
        """Create the pool with four pods on it, then write into the stack file what is to become of both versions."""
        # A run that is held must not give up before the test has seen what it came for.
        self.project.edit(lambda config: self._drain(config).update(timeout="180s", totalTimeout="240s"))
        self.project.up("--skip-preview").expect()
        self.cloud.deployment(self.app, self.pool, replicas=4, budget={"maxUnavailable": 1})
        self.pods = sorted(pod["metadata"]["uid"] for pod in self.cloud.pods(self.app))
        self.nodes = sorted(node["metadata"]["name"] for node in self.cloud.nodes(self.pool))
        kept = {"standby": {OLD: OLD_SPEC}, "retired": {OLD: {**OLD_SPEC, "retired": True}}, "removed": {}}
        self.project.edit(listing(self.pool, NEW, **kept[old], **{NEW: NEW_SPEC}))

    def _drain(self, config: Config) -> Config:
        drain: Config = config["nodepools:pools"][self.pool]["drain"]
        return drain

    def end(self) -> None:
        for engine in self.engines:
            engine.end()
        for relays in self._relays:
            relays.close()
        self.cloud.remove(self.app)
        self.project.run("cancel", "--stack", "prod", "--yes")  # of a test that failed

    def start(self, holds: Callable[[Asked], bool] | None = None) -> tuple[Engine, Gate]:
        run = len(self.engines)
        relays = Relays(self.project.env, self._folder / f"relays-{run}", run, self.journal, Gate(holds))
        self._relays.append(relays)
        engine = Engine(self.project.start(*UP, env=relays.env))
        self.engines.append(engine)
        return engine, relays.gate

    def start_until(self, holds: Callable[[Asked], bool]) -> tuple[Engine, Gate]:
        """Start `up` and return once it is held."""
        engine, gate = self.start(holds)
        while not gate.reached.wait(0.2):
            assert engine.process.poll() is None, f"ended before it was held:\n{engine.output}"
        return engine, gate

    def kill_plugin(self, holds: Callable[[Asked], bool]) -> None:
        """Kill the hooks' plugin where one `up` is held; what it asked for is never delivered."""
        engine, gate = self.start_until(holds)
        os.kill(engine.plugin(), signal.SIGKILL)
        gate.decide(deliver=False)
        engine.wait().fails()

    def kill_engine(self, holds: Callable[[Asked], bool], *, deliver: bool = False) -> None:
        """Kill pulumi alone where one `up` is held; what its plugin asked for is delivered nevertheless, or never."""
        engine, gate = self.start_until(holds)
        engine.signal(signal.SIGKILL)
        gate.decide(deliver=deliver)
        assert engine.process.wait(10) == -signal.SIGKILL

    def cancel(self) -> None:
        """What releases the stack's lock; it does not wait for what a killed engine has left running."""
        self.project.run("cancel", "--stack", "prod", "--yes").expect()

    def resume(self) -> str:
        """Run `up` to its end; returns what it said."""
        engine, _gate = self.start()
        return engine.wait(180).expect().output

    def check(self, old: Old) -> None:
        """What an undisturbed replacement leaves, and what leads there, whatever happened on the way."""
        self.cloud.until(lambda: old == "standby" or not self.cloud.nodes(self.pool, OLD))
        left, wanted = self.left(), undisturbed(self.pool, old)
        assert left == wanted, f"left:\n{left}\nwanted:\n{wanted}"
        self._check_once()
        self.project.up("--skip-preview", "--expect-no-changes").expect()

    def _check_once(self) -> None:
        """Each pod was evicted once and each node cordoned once, by one run at a time, and no run is left."""
        assert sorted(self.journal.evicted()) == self.pods
        assert sorted(self.journal.cordoned()) == self.nodes
        spans = self.journal.spans()
        for (_, ended), (began, _) in pairwise(spans):
            assert ended < began, f"two runs at work at once: {spans}"
        for engine in self.engines:
            self.cloud.until(lambda pid=engine.process.pid: session_members(pid) == [])

    def left(self) -> dict[str, Any]:
        """Everything that a replacement touches, as it is now."""
        record = PoolRecord(self.cloud.client, self.pool)
        now, groups = record.load(), self.cloud.groups(self.pool)
        return {
            "groups": {version: _group(group) for version, group in groups.items()},
            "nodes": {
                version: [_marks(node) for node in self.cloud.nodes(self.pool, version)] for version in (OLD, NEW)
            },
            "pods": [self._version(pod) for pod in self.cloud.pods(self.app)],
            "record": {
                "serving": now.serving,
                "pending": now.pending,
                "phase": now.phase,
                "states": now.states,
                "frozen": {was.version: (was.min, was.max, was.desired) for was in now.frozen.values()},
            },
            "leases": (record.holder(), noted(self.cloud.client, names.DRAIN_LEASE)[0]),
        }

    def _version(self, pod: dict[str, Any]) -> str:
        where = {
            node["metadata"]["name"]: node["metadata"]["labels"][names.VERSION_LABEL]
            for node in self.cloud.nodes(self.pool)
        }
        return where.get(pod["spec"].get("nodeName", ""), "nowhere")


def undisturbed(pool: str, old: Old) -> dict[str, Any]:
    """What a replacement leaves with which nothing interferes."""
    marks = [f"{names.OWNER_ANNOTATION}={pool}/{OLD}", f"{names.EXCLUSION_LABEL}={names.EXCLUDED_VALUE}"]
    cordoned = ["unschedulable", names.DRAINING_TAINT, *marks]
    frozen = sorted(FROZEN_PROCESSES)
    blue = {"standby": {OLD: (2, 2, 2, frozen)}, "retired": {OLD: (0, 0, 0, frozen)}, "removed": {}}
    gone = old == "removed"
    return {
        "groups": {**blue[old], NEW: (1, 6, 2, [])},
        "nodes": {OLD: [cordoned, cordoned] if old == "standby" else [], NEW: [[], []]},
        "pods": [NEW] * 4,
        "record": {
            "serving": NEW,
            "pending": "",
            "phase": f"drained {OLD}" if gone else "serving",
            "states": {NEW: "active"} if gone else {OLD: old, NEW: "active"},
            # Of a group that is gone it is forgotten at the next gate.
            "frozen": {OLD: (1, 6, 2)},
        },
        "leases": ("", ""),
    }


def _group(group: dict[str, Any]) -> tuple[int, int, int, list[str]]:
    suspended = sorted(item["ProcessName"] for item in group["SuspendedProcesses"])
    return group["MinSize"], group["MaxSize"], group["DesiredCapacity"], suspended


def _marks(node: dict[str, Any]) -> list[str]:
    """What a drain has put on a node."""
    metadata, spec = node["metadata"], node["spec"]
    found = ["unschedulable"] if spec.get("unschedulable") else []
    # The node controller taints whatever is cordoned, and needs a moment to take that back.
    found += [taint["key"] for taint in spec.get("taints") or [] if taint["key"] in _OURS]
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    return found + [f"{key}={marks[key]}" for key in _OURS if key in marks]
