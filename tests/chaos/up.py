"""What one `pulumi up` does to a pool, without its engine: gate, cutover, then the drain hook of what is removed.

    python -m tests.chaos.up FOLDER

`up.json` in the folder says what to do and with which properties; `state.json` is what the engine's state would be: the
steps that came to their end. A process of its own, so that it can be killed in any step and started again. Each step is
called as the plugin calls it, through the provider, so what leaves here is what a user would read.
"""

import json
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any


def main(folder: Path) -> int:
    """0 when every step is done, 2 after an expected failure, 3 with a traceback after any other."""
    wanted = json.loads((folder / "up.json").read_text())
    _set_clock(float(wanted["skew"]))
    from pulumi_nodepools.hooks.boundary import Stopped

    state = _State(folder / "state.json")
    try:
        for name, step in _steps(wanted, state):
            began = time.monotonic()
            try:
                step()
            finally:
                print(f"took {name} {time.monotonic() - began:.1f}", flush=True)
            state.done(name)
    except Stopped as failure:
        print(f"stopped {failure}", flush=True)
        return 2
    except Exception:  # noqa: BLE001 - whatever it is, it is to be seen as a user would see it
        traceback.print_exc()
        return 3
    return 0


class _State:
    """The steps that are done, kept over a kill."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.steps: list[str] = json.loads(path.read_text()) if path.exists() else []

    def done(self, name: str) -> None:
        self.steps.append(name)
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self.steps))
        part.replace(self._path)


def _steps(wanted: dict[str, Any], state: _State) -> list[tuple[str, Callable[[], Any]]]:
    """As the engine orders them; what is done is only done again while the pool's record says that a switch is open."""
    from pulumi_nodepools.hooks.cutover import CutoverProvider
    from pulumi_nodepools.hooks.drain_hook import DrainProvider
    from pulumi_nodepools.hooks.readiness_gate import GateProvider

    gate, cutover, drain = wanted["gate"], wanted["cutover"], wanted["drain"]
    steps: list[tuple[str, Callable[[], Any]]] = []
    if "gate" not in state.steps or "cutover" not in state.steps:
        steps.append(("gate", lambda: GateProvider().create(gate)))
        steps.append(("cutover", lambda: CutoverProvider().create(cutover)))
    if drain and "drain" not in state.steps:
        steps.append(("drain", lambda: DrainProvider().delete("chaos", drain)))
    return steps


def _set_clock(skew: float) -> None:
    """Let this process's wall clock be wrong by so many seconds."""
    from pulumi_nodepools.cluster import lease

    if skew:
        right = time.time
        time.time = lambda: right() + skew
        lease._now = lambda: (datetime.now(UTC) + timedelta(seconds=skew)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
