"""One seed from begin to end: a pool is made, rolled under its faults, rolled again without any, and judged."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.aws.world import SUBNETS
from sandbox.engine import REPOSITORY
from sandbox.recorder import Recorder
from tests.apiserver.request_log import RequestLog
from tests.chaos import aws_log
from tests.chaos.invariants import Run, Story, Violation, violations
from tests.chaos.proxy import Proxy, Script
from tests.chaos.schedule import Fault, Schedule
from tests.chaos.stage import NEW, OLD, SIZE, TIMES, Pool, Stage
from tests.relay import connections, led_through

_LONGEST = sum(TIMES.values())
"""Seconds after which a run is ended: its deadlines are over, and a hang must be seen as one."""


@dataclass
class Outcome:
    """What became of one seed."""

    schedule: Schedule
    story: Story
    injected: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)


class Roll:
    """One pool under one schedule."""

    def __init__(self, stage: Stage, schedule: Schedule, folder: Path) -> None:
        self.stage, self.schedule, self.folder = stage, schedule, folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pool = Pool(stage, f"c{schedule.seed}")
        self.story = Story(SIZE, TIMES, passing=schedule.passing)
        self.script = Script(schedule.faults, self._act)
        self._emptied: float | None = None
        self._process: subprocess.Popen[str] | None = None
        self._full = any(fault.kind == "zones/full" for fault in schedule.faults)

    def run(self) -> Outcome:
        """Play and judge; nothing of the pool is left."""
        try:
            began = time.time()
            self.pool.begin()
            audit = RequestLog(
                self.stage.cluster.plane.audit_log, begin=self.stage.cluster.plane.audit_log.stat().st_size
            )
            recorder = Recorder(self.stage.cluster.client, self.pool.name).start()
            try:
                serving = self._roll()
            finally:
                ledger = recorder.stop()
            mine = f"{self.pool.namespace}/"
            self.story.interruptions = [one for one in ledger.interruptions if one.subject.startswith(mine)]
            self.story.deaths, self.story.lost = self.pool.deaths, self.script.lost
            self.story.lowest_ready = ledger.lowest_ready()
            self.story.gaps, self.story.not_played = recorder.gaps, self.script.not_played
            self.story.requests = [line for line in audit.violations() if f"/namespaces/{mine}pods/" in line]
            self.story.blindly = self.script.watches.blindly
            self.story.aws = aws_log.judge(
                self.stage.aws_log.read(began),
                self.pool.name,
                self.pool.group_names,
                serving=serving,
                emptied=self._emptied,
            )
            self.story.left_over = self.pool.leftovers(serving) if self.story.runs[-1].end == "done" else []
        finally:
            self.stage.fill_zones([])
            self.pool.end()
        return Outcome(self.schedule, self.story, self.script.injected, violations(self.story))

    def _roll(self) -> str:
        """Both runs; the version that serves in the end."""
        if self._full:
            self.stage.fill_zones([zone for zone, _ in SUBNETS.values()])
        self.pool.create(NEW)
        active, leaving = NEW, OLD
        connects = connections(self.stage.sandbox.env, self.folder)
        proxies = [Proxy(service, connect, self.script) for service, connect in connects.items()]
        try:
            run = self._up(active, leaving, self.schedule.skews[0], proxies)
        finally:
            for proxy in proxies:
                proxy.close()
        if run.end != "done":
            self.stage.fill_zones([])
            if self.schedule.shape == "roll-back" and "drain" not in self._state():
                active, leaving = OLD, NEW
                (self.folder / "state.json").unlink(missing_ok=True)
            self.stage.cluster.wait(self.pool.settled, seconds=90, what="a healthy pool before the second run")
            run = self._up(active, leaving, self.schedule.skews[1], None)
        if run.end == "done":
            self._emptied = time.time()
            self.story.not_empty = self.pool.pods_on(leaving)
            if self.schedule.shape != "standby":
                self.pool.delete(leaving)
        return active

    def _up(self, active: str, leaving: str, skew: float, proxies: list[Proxy] | None) -> Run:
        props = self.pool.props(active, leaving, stands_by=self.schedule.shape == "standby")
        (self.folder / "up.json").write_text(json.dumps({**props, "skew": skew}))
        env = self.stage.sandbox.env | {"AWS_ACCESS_KEY_ID": self.pool.name}
        if proxies:
            env |= led_through(self.folder, *(proxy.url for proxy in proxies))
        command = [sys.executable, "-m", "tests.chaos.up", str(self.folder)]
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self._process = subprocess.Popen(command, cwd=REPOSITORY, env=env, **pipes)
        hung = threading.Timer(_LONGEST, self._process.send_signal, (signal.SIGABRT,))
        hung.start()
        try:
            output, _ = self._process.communicate()
        finally:
            hung.cancel()
        run = Run(self._process.returncode, output)
        self.story.runs.append(run)
        return run

    def _state(self) -> list[str]:
        path = self.folder / "state.json"
        return list(json.loads(path.read_text())) if path.exists() else []

    def _act(self, fault: Fault) -> bool:
        if fault.kind.startswith("process/"):
            assert self._process is not None
            os.kill(self._process.pid, signal.SIGKILL)
            return True
        return self.pool.act(fault)
