"""Soaks canaries with a compressed clock: a minute in the place of three days, by rules that are the users' own.

Runs are started every few seconds. How long, how many runs, and what they must look like is for the gate alone to say.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.evidence import evidence_text
from pulumi_nodepools.hooks.soak_judging import Judgement
from pulumi_nodepools.names import SOAK_LABEL
from pulumi_nodepools.soak.document import read
from pulumi_nodepools.soak.evidence import Evidence, Group, Runs
from pulumi_nodepools.soak.kmem import KMEM
from pulumi_nodepools.soak.verdict import Wanted, judge
from sandbox.engine import Config
from sandbox.story import ci
from sandbox.story.apply import wait
from sandbox.story.soak import JOBS, PODS, SoakNodes

Enough = Callable[[Evidence], bool]
_IMAGE = "example.com/image@sha256:" + "a" * 64
_EVERY = 8.0


def rules(seconds: int, runs: int) -> Config:
    """`soak` of a pool: so many seconds and runs, which start together, of a job that fails as `ci` says."""
    return {
        "duration": f"{seconds}s",
        "runs": runs,
        "every": "1m",
        "parallel": runs,
        "images": {"collector": _IMAGE, "kernelWatch": _IMAGE},
        "pods": {
            "metadata": {"labels": {ci.LABEL: ci.KIND_IN_DOCKER}},
            "spec": {"containers": [{"name": "dind", "image": "example.com/ci/dind:19.03"}]},
        },
    }


def shows_the_bug(evidence: Evidence) -> bool:
    """A definite signature was collected, and the run that met it was counted."""
    return bool(evidence.counts.get("kmem/k-cache-create")) and evidence.runs.get("canary", Runs()).failures > 0


def watched(seconds: float, runs: int) -> Enough:
    """One boot was watched for so long, and so many runs have ended on the canary and on the old nodes."""

    def enough(evidence: Evidence) -> bool:
        longest = max((boot.watched for boot in evidence.boots), default=0.0)
        ended = [evidence.runs.get(group, Runs()).runs for group in ("canary", "baseline")]
        return longest >= seconds and min(ended) >= runs

    return enough


def soaked(
    client: Client, nodes: SoakNodes, pool: str, wanted: Mapping[str, Enough], timeout: float = 300.0
) -> dict[str, Evidence]:
    """Run the job again and again until each version has enough evidence; TimeoutError shows what there is."""
    deadline, next_run = time.monotonic() + timeout, 0.0
    while True:
        found = {version: one for version in wanted if (one := collected(client, pool, version))}
        if all(version in found and enough(found[version]) for version, enough in wanted.items()):
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"not enough after {timeout:.0f} s: {found}; {nodes.troubles[-3:]}")
        if time.monotonic() >= next_run:
            nodes.run_now()
            next_run = time.monotonic() + _EVERY
        threading.Event().wait(0.5)


def collected(client: Client, pool: str, version: str) -> Evidence | None:
    """What there is of a version by now."""
    text = evidence_text(client, pool, version)
    return read(text) if text else None


def judged(evidence: Evidence, seconds: int, runs: int) -> dict[str, Any]:
    """The verdict over a version by the rules, as a gate's report has it."""
    wanted = Wanted(evidence.subject, duration=seconds, runs=runs, failure_rate=0.0)
    return Judgement(evidence.subject, judge(evidence, wanted, {KMEM.name: KMEM.window}), evidence).to_json()


def told(evidence: Evidence) -> str:
    """One line for whoever watches."""
    groups: tuple[tuple[Group, str], ...] = (("canary", "on the canary"), ("baseline", "on old nodes"))
    runs = [(evidence.runs.get(group, Runs()), where) for group, where in groups]
    failed = ", ".join(f"{seen.failures} of {seen.runs} runs failed {where}" for seen, where in runs)
    found = ", ".join(f"{count} x {name}" for name, count in sorted(evidence.counts.items()))
    return f"{failed}; signatures: {found or 'none'}"


def left(client: Client) -> list[str]:
    """Runs of soaks that are still there: once a soak is gone, the cluster takes away what it had started."""
    found: list[Any] = client.get(f"{JOBS}/cronjobs")["items"]
    found += client.get(f"{JOBS}/jobs")["items"] + client.get(PODS, labelSelector=SOAK_LABEL)["items"]
    return [item["metadata"]["name"] for item in found]


def wait_until_gone(client: Client, timeout: float = 120.0) -> None:
    """Return when nothing of the soaks is left; TimeoutError names what is."""
    wait(lambda: left(client), timeout)
