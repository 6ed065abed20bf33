"""`make demo`: the story of a patch, told by the real engine on the sandbox, checking its own claims.

Fourteen nodes over three zones run a production-like mix and a CI job that fails at random where kernel memory is
accounted. Two canaries are soaked: the one without the argument is refused with the lines of the bug, the patched one
passes. The stack's YAML gets the patched version; preview and policies look at it; one `pulumi up` replaces the pool.
Leaves out/demo/report.json and report.html, and exits 0 only if every claim in it held.
"""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pulumi_nodepools import report as report_files
from pulumi_nodepools.cli import reporting
from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.names import canary_name
from sandbox import claims
from sandbox.engine import REPOSITORY, Config, Project, Run
from sandbox.recorder import Recorder
from sandbox.signals import TERMINATED_EXIT, Terminated, catch_terminate
from sandbox.stack import Sandbox
from sandbox.story import apply, ci, soaking
from sandbox.story.record import recorded
from sandbox.story.soak import SoakNodes

POOL = "worker"
OLD, NEW = "7.6.1810", "7.7.1908"
UNPATCHED = "7.6.1811"
PATCHED: Config = {
    "imageId": "ami-0bbbbbbbbbbb77190",
    "osFamily": "el7",
    "kernel": {"arguments": [ci.ARGUMENT], "minimumVersion": "3.10.0-1062.4.1"},
}
SMOKE_TEST = (
    "kubectl wait node --for=condition=Ready --timeout=30s "
    "-l nodepools.dev/pool=$NODEPOOLS_POOL,nodepools.dev/version=$NODEPOOLS_VERSION"
)
RUNS_BEFORE, FAILURES_BEFORE, RUNS_AFTER = 12, 3, 15
SOAK_SECONDS, SOAK_RUNS = 60, 4
GONE = (OLD, UNPATCHED, canary_name(UNPATCHED), canary_name(NEW))
OUTPUT = REPOSITORY / "out" / "demo"


@dataclass
class Story:
    """What the demo has measured; becomes report.json."""

    phases: dict[str, float] = field(default_factory=dict)
    verdicts: list[claims.Claim] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        print(f"\n== {title}", flush=True)
        began = time.monotonic()
        yield
        self.phases[title] = round(time.monotonic() - began, 1)
        print(f"   {self.phases[title]:.1f} s", flush=True)


def old_pool(config: Config) -> None:
    """The stack as it was before the patch; quick batches, because nobody wants to watch a soak."""
    drain = config["nodepools:pools"][POOL]["drain"]
    drain.update(batchSoak="0s", barePods="allow", batchSize="25%")
    config["nodepools:pools"][POOL]["gate"] = {"timeout": "5m", "consecutive": 2, "interval": "1s"}
    config["nodepools:pools"][POOL]["smokeTest"] = SMOKE_TEST


def canaries(config: Config) -> None:
    """A canary of a version without the argument, and one of the patched version; both are soaked by the same rules."""
    pool = config["nodepools:pools"][POOL]
    one: Config = {"canary": {"count": 1}}
    pool["versions"] |= {UNPATCHED: pool["versions"][OLD] | one, NEW: PATCHED | one}
    pool["soak"] = soaking.rules(SOAK_SECONDS, SOAK_RUNS)


def unpatched_pool(config: Config) -> None:
    """The promotion that must not be: of the canary that shows the bug."""
    pool = config["nodepools:pools"][POOL]
    pool.update(active=UNPATCHED, versions=pool["versions"] | {UNPATCHED: pool["versions"][OLD]})


def patched_pool(config: Config) -> None:
    """The one edit of the story: the patched version instead of the old one."""
    config["nodepools:pools"][POOL].update(active=NEW, versions={NEW: PATCHED})


def main() -> int:
    """Run the story; 0 if every claim held. Interrupted by ^C or SIGTERM it ends everything that it started."""
    catch_terminate()
    try:
        return _run()
    except KeyboardInterrupt as interruption:
        print("\ninterrupted; everything that had been started was ended again", file=sys.stderr)
        return TERMINATED_EXIT if isinstance(interruption, Terminated) else 130


def _run() -> int:
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    story = Story()
    with Sandbox(root=REPOSITORY / ".sandbox" / "demo") as sandbox:
        client = Client.connect(Access(kind="kubeconfig", path=str(sandbox.kubeconfig)))
        project = Project(OUTPUT / "stack", {**sandbox.env, "NODEPOOLS_REPORT_DIR": str(OUTPUT / "hooks")}, echo=True)
        folder = sandbox.root / "soak"
        shutil.rmtree(folder, ignore_errors=True)
        with SoakNodes.of(sandbox, client, folder) as nodes:
            _tell(story, sandbox, client, project, nodes)
    _write(story)
    return 0 if all(item.held for item in story.verdicts) else 1


def _reports(begin: str) -> list[dict[str, Any]]:
    """What the hooks have left in files whose names begin so."""
    return [json.loads(path.read_text()) for path in sorted((OUTPUT / "hooks").glob(f"{begin}-*.json"))]


def _instances(sandbox: Sandbox) -> Path:
    """What the fleet tells of each instance, its command line among it."""
    return sandbox.root / "fleet" / "instances.json"


def _tell(story: Story, sandbox: Sandbox, client: Client, project: Project, nodes: SoakNodes) -> None:
    runner = _begin(story, sandbox, client, project)
    refused = _soak(story, client, project, nodes)
    project.edit(patched_pool)
    with story.phase(f"pulumi preview: {NEW} instead of {OLD}"):
        preview = project.preview("--policy-pack", str(REPOSITORY / "policies")).expect()
    recorder = Recorder(client, POOL).start()
    with story.phase("pulumi up --stack prod"):
        up = project.up("--skip-preview").expect()
    with story.phase("The same CI job on the patched nodes"):
        runner.wait_for(patched=True, runs=RUNS_AFTER)
        apply.wait_until_serving(client)
        runner.stop()
        print("   {} runs, {} failed".format(*runner.counts(patched=True)))
        soaking.wait_until_gone(client)
    ledger = recorder.stop()
    with story.phase("A second pulumi up"):
        again = project.up("--skip-preview", "--expect-no-changes")
    with story.phase("What is left, in AWS and in the cluster"):
        _conclude(story, sandbox, client, recorder, runner)
    story.facts |= {
        "previewSeconds": round(preview.seconds, 1),
        "upSeconds": round(up.seconds, 1),
        "soaks": [refused, *_soaked()],
        **recorded(ledger, recorder.began, OLD, claims.single_replica_services(client)),
    }
    story.verdicts.append(_no_changes(again))


def _conclude(story: Story, sandbox: Sandbox, client: Client, recorder: Recorder, runner: ci.Runner) -> None:
    """What is to be seen from outside when all is done."""
    (passed,) = _soaked()
    evidence = soaking.collected(client, POOL, NEW)
    assert evidence is not None, "evidence outlives its soak"
    fleet = json.loads(_instances(sandbox).read_text())
    before, after = runner.counts(patched=False), runner.counts(patched=True)
    story.facts |= {
        "recordedSeconds": round(time.time() - recorder.began, 1),
        "recorderGaps": recorder.gaps,
        "ciRuns": {"unpatched": before, "patched": after},
    }
    story.verdicts += [
        claims.passed(passed, evidence, runs=SOAK_RUNS),
        *claims.availability(client, recorder, nodes=14),
        *claims.nodes(client, fleet, pool=POOL, version=NEW, argument=ci.ARGUMENT, count=14),
        claims.job(before=before, after=after),
        *claims.nothing_left(client, sandbox.env, pool=POOL, versions=GONE),
    ]


def _soaked() -> list[dict[str, Any]]:
    """What the gate has said of the version that is promoted."""
    return _reports(f"soak-{POOL}-{NEW}")


def _begin(story: Story, sandbox: Sandbox, client: Client, project: Project) -> ci.Runner:
    """The pool as it was, at work."""
    with story.phase(f"A pool of 14 nodes on {OLD}, kernel memory accounted"):
        project.create()
        project.edit(old_pool)
        project.up("--skip-preview").expect()
    with story.phase("Workloads, and a CI job that fails now and then"):
        apply.apply(client)
        apply.wait_until_serving(client)
        runner = ci.Runner(client, _instances(sandbox)).start()
        runner.wait_for(patched=False, runs=RUNS_BEFORE, failures=FAILURES_BEFORE)
        print("   {} runs, {} failed".format(*runner.counts(patched=False)))
    return runner


def _soak(story: Story, client: Client, project: Project, nodes: SoakNodes) -> dict[str, Any]:
    """Both canaries until there is enough evidence of each; the verdict over the one without the argument."""
    project.edit(canaries)
    with story.phase(f"Two canaries: {UNPATCHED} without the argument, {NEW} with it"):
        project.up("--skip-preview").expect()
    wanted = {UNPATCHED: soaking.shows_the_bug, NEW: soaking.watched(SOAK_SECONDS, SOAK_RUNS)}
    with story.phase(f"Soak: the CI job on canaries and old nodes, {SOAK_SECONDS} s in the place of 72 h"):
        found = soaking.soaked(client, nodes, POOL, wanted)
        for version, evidence in found.items():
            print(f"   {version}: {soaking.told(evidence)}")
    project.edit(unpatched_pool)
    with story.phase(f"pulumi preview: {UNPATCHED} instead of {OLD}"):
        preview = project.preview().fails()
    story.verdicts.append(claims.refused(found[UNPATCHED], preview.output))
    return soaking.judged(found[UNPATCHED], SOAK_SECONDS, SOAK_RUNS)


def _no_changes(again: Run) -> claims.Claim:
    lines = [line.strip() for line in again.output.strip().splitlines()]
    detail = next((line for line in lines if line.endswith("unchanged")), lines[-1])
    return claims.Claim("a second up changes nothing", again.code == 0, detail)


def _write(story: Story) -> None:
    document = {
        "schemaVersion": 1,
        "kind": "demo",
        "claims": [asdict(item) for item in story.verdicts],
        "phases": story.phases,
        **story.facts,
        "drains": _reports("drain"),
    }
    page = reporting.written(report_files.write(OUTPUT / "report.json", document))
    print("\n== Claims")
    for item in story.verdicts:
        print(f"   {'held  ' if item.held else 'BROKEN'} {item.text}: {item.detail}")
    total = sum(story.phases.values())
    shown = page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page
    print(f"\n   {total:.0f} s in all; everything measured is in {shown} and, for programs, in report.json beside it")


if __name__ == "__main__":
    sys.exit(main())
