"""A soak with the real engine and the real collector: the bug is found and refused, the patch is promoted."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pulumi_nodepools.cluster.evidence import evidence_text
from pulumi_nodepools.soak.document import read
from pulumi_nodepools.soak.evidence import Evidence
from sandbox.engine import Config
from sandbox.story import ci
from sandbox.story.soak import KERNEL_LINE, SoakNodes
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, OLD_SPEC, Cloud

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

POOL, UNPATCHED = "soaked", "7.6.1811"
IMAGE = "example.com/image@sha256:" + "a" * 64
SOAK: Config = {
    "duration": "60s",
    "runs": 3,
    "every": "1m",
    "parallel": 3,
    "images": {"collector": IMAGE, "kernelWatch": IMAGE},
    "pods": {
        "metadata": {"labels": {ci.LABEL: ci.KIND_IN_DOCKER}},
        "spec": {"containers": [{"name": "dind", "image": "example.com/ci/dind:19.03"}]},
    },
}


@pytest.fixture
def nodes(cloud: Cloud, tmp_path) -> Iterator[SoakNodes]:
    root = cloud.sandbox.root
    plane = cloud.sandbox.control_plane
    authority = root / "control-plane" / "pki" / "ca.crt"
    with SoakNodes(cloud.client, plane.endpoint, authority, root / "fleet" / "instances.json", tmp_path) as playing:
        yield playing


def listed(active: str, **versions: Config) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        config["nodepools:pools"][POOL].update(active=active, versions=versions, soak=SOAK)

    return change


def soaked(cloud: Cloud, nodes: SoakNodes, version: str, enough: Callable[[Evidence], bool]) -> Evidence:
    """Run the job again and again until the evidence is enough."""
    deadline, next_run = time.monotonic() + 240, 0.0
    while True:
        text = evidence_text(cloud.client, POOL, version)
        evidence = read(text) if text else None
        if evidence and enough(evidence):
            return evidence
        assert time.monotonic() < deadline, f"{evidence}; {nodes.troubles[-3:]}"
        if time.monotonic() >= next_run:
            nodes.run_now()
            next_run = time.monotonic() + 8
        threading.Event().wait(0.5)


def test_an_unpatched_canary_is_refused_with_its_lines_and_a_patched_one_is_promoted(
    cloud: Cloud, make_project, nodes: SoakNodes
) -> None:
    project = make_project(POOL)
    project.edit(listed(OLD, **{OLD: OLD_SPEC}))
    project.up("--skip-preview").expect()

    project.edit(listed(OLD, **{OLD: OLD_SPEC, UNPATCHED: OLD_SPEC | {"canary": {"count": 1}}}))
    project.up("--skip-preview").expect()
    early = project.run("stack", "export", "--stack", "prod").expect()
    assert "nodepools:kubernetes:SoakTest" in early.output
    evidence = soaked(cloud, nodes, UNPATCHED, lambda seen: bool(seen.counts.get("kmem/k-cache-create")))
    assert evidence.runs["canary"].failures > 0
    project.edit(listed(UNPATCHED, **{OLD: OLD_SPEC, UNPATCHED: OLD_SPEC}))
    for refused in (project.preview().fails(), project.up("--skip-preview").fails()):
        assert f"{POOL} {UNPATCHED} has not passed its soak, nothing was changed" in refused.output
        assert KERNEL_LINE in refused.output
        assert "Traceback" not in refused.output
    assert set(cloud.groups(POOL)) == {OLD, f"{UNPATCHED}-canary"}
    assert cloud.schedulable(POOL, OLD) == 2

    project.edit(listed(OLD, **{OLD: OLD_SPEC, NEW: NEW_SPEC | {"canary": {"count": 1}}}))
    project.up("--skip-preview").expect()
    assert set(cloud.groups(POOL)) == {OLD, f"{NEW}-canary"}
    project.edit(listed(NEW, **{OLD: OLD_SPEC, NEW: NEW_SPEC}))
    assert "has not passed its soak" in project.preview().fails().output, "not yet"

    def enough(seen: Evidence) -> bool:
        return max((boot.watched for boot in seen.boots), default=0) >= 60 and seen.runs["canary"].runs >= 3

    evidence = soaked(cloud, nodes, NEW, enough)
    assert (evidence.runs["canary"].failures, dict(evidence.counts)) == (0, {})
    assert evidence.runs["baseline"].runs >= 3
    project.up("--skip-preview").expect()
    assert cloud.schedulable(POOL, NEW) == 2
    (gate,) = [one for one in project.resources() if one["type"].endswith(":SoakGate")]
    verdict = gate["outputs"]["verdict"]
    assert (verdict["outcome"], verdict["version"]) == ("passed", NEW)
    assert verdict["comparison"]["after"]["failures"] == 0
    assert verdict["comparison"]["before"]["runs"] >= 3
    assert evidence_text(cloud.client, POOL, NEW), "evidence outlives its soak"
    project.up("--skip-preview", "--expect-no-changes").expect()
