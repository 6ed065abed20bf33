"""What the policy pack adds to a preview: the same program with and without it, in turn, on this machine.

python -m tests.bench.policy_time       writes out/bench/policy-time.json
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from policies.rules import RULES
from sandbox.engine import REPOSITORY
from tests.policies.matrix_stack import Stack

ROUNDS = 5
BUDGET_SECONDS = 4.0
OUTPUT = REPOSITORY / "out" / "bench" / "policy-time.json"


def main() -> int:
    """0 if the median difference is within the budget."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        _seconds(lambda: stack.run("stack", "init", "dev"))
        plain, judged = [], []
        for _ in range(ROUNDS):
            plain.append(_seconds(lambda: stack.run("preview")))
            judged.append(_seconds(stack.preview))
    added = statistics.median(judged) - statistics.median(plain)
    document = {
        "schemaVersion": 1,
        "rules": len(RULES),
        "rounds": ROUNDS,
        "seconds": {"plain": plain, "judged": judged},
        "addedSeconds": round(added, 2),
        "budgetSeconds": BUDGET_SECONDS,
    }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(document, indent=2) + "\n")
    without = statistics.median(plain)
    told = f"{len(RULES)} rules add {added:.1f} s to a preview of {without:.1f} s; budget {BUDGET_SECONDS:.0f} s"
    sys.stdout.write(f"{told}\n")
    return 0 if added <= BUDGET_SECONDS else 1


def _seconds(run: Callable[[], tuple[int, str]]) -> float:
    began = time.monotonic()
    code, output = run()
    if code:
        raise SystemExit(output)
    return round(time.monotonic() - began, 2)


if __name__ == "__main__":
    sys.exit(main())
