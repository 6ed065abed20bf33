"""`--target` and `--exclude` of each resource of a pool while it is replaced: nothing that serves is harmed.

The resources are those that the state has, so that a new kind is tried as soon as there is one. One of each kind and
version is tried with FULL=1, else a sample.
"""

import os
import re
from collections.abc import Collection

import pytest

from pulumi_nodepools import names
from pulumi_nodepools.cluster.record import PoolRecord
from sandbox.engine import Project, Run
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, OLD_SPEC, SEED, Cloud, sampled
from tests.e2e.record import uninterrupted
from tests.e2e.versions import listing, serves
from tests.engine_case import activate

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(3000 if os.environ.get("FULL") else 500)]
UNMADE = ("VersionLock", "LaunchTemplate", "autoscaling/group:Group", "DrainHook")
"""Kinds of which one that does not exist yet may be left out. Without a component or a role the engine stores children
that have no parent; docs/runbook.md says so."""
SPECS = {OLD: OLD_SPEC, NEW: NEW_SPEC}


def _urns(project: Project, *versions: str) -> dict[str, str]:
    """One URN of each kind of resource, and of each version that kind is made for, in the order of the state."""
    found: dict[str, str] = {}
    for urn in project.urns():
        kind, name = urn.split("::")[2:]
        if kind.startswith("pulumi:"):
            continue  # the stack itself and its providers
        own = next((version for version in (OLD, NEW) if version in name), "")
        for version in versions if own else ("",):
            found.setdefault(f"{kind.split('$')[-1]} {version}".strip(), urn.replace(own, version) if own else urn)
    return found


def _some(kinds: Collection[str]) -> list[str]:
    return list(kinds) if os.environ.get("FULL") else sorted(sampled([*kinds], SEED))


def _tried(project: Project, flag: str, urn: str) -> Run:
    run = project.up("--skip-preview", flag, urn)
    assert run.code in {0, 1, 255}
    assert "Traceback" not in run.output, run.output
    return run


def _unharmed(cloud: Cloud, pool: str) -> None:
    """Who serves has all its nodes and its own group as it was made; no node has lost its group."""
    record = PoolRecord(cloud.client, pool).load()
    groups = cloud.groups(pool)
    serving = groups[record.serving or ""]
    assert serving["SuspendedProcesses"] == []
    assert (serving["MinSize"], serving["MaxSize"], serving["DesiredCapacity"]) == (1, 6, 1)
    assert cloud.schedulable(pool, record.serving or "") == 1
    cloud.until(lambda: {_version(node) for node in cloud.nodes(pool)} <= set(cloud.groups(pool)))
    where = {node["metadata"]["name"] for node in cloud.nodes(pool)}
    assert {pod["spec"].get("nodeName") for pod in cloud.pods(f"web-{pool}")} <= where


def _version(node: dict) -> str:
    return node["metadata"]["labels"][names.VERSION_LABEL]


def _begin(cloud: Cloud, make_project, pool: str) -> Project:
    """One node, with two pods of which one may be away."""
    project = make_project(pool)
    project.edit(lambda config: config["nodepools:pools"][pool].update(size={"min": 1, "max": 6, "initial": 1}))
    project.up("--skip-preview").expect()
    cloud.deployment(f"web-{pool}", pool, replicas=2, budget={"maxUnavailable": 1})
    return project


def test_a_target_alone_moves_nothing_that_serves(cloud: Cloud, make_project) -> None:
    """All targets of one replacement, one after the other; then the whole of it."""
    project = _begin(cloud, make_project, "aimed")
    try:
        with uninterrupted(cloud, "aimed", "targets") as record:
            project.edit(activate("aimed", NEW, NEW_SPEC))
            targets = _urns(project, OLD, NEW)
            for kind in _some(targets):
                run = _tried(project, "--target", targets[kind])
                _unharmed(cloud, "aimed")
                record.measured[f"target {kind}"] = round(run.seconds, 1)
            project.up("--skip-preview").expect()
            serves(cloud, "aimed", NEW, app="web-aimed", nodes=1)
            assert set(cloud.groups("aimed")) == {NEW}
            project.up("--skip-preview", "--expect-no-changes").expect()
    finally:
        cloud.remove("web-aimed")


def test_whatever_is_left_out_of_a_replacement_is_caught_up_with(cloud: Cloud, make_project) -> None:
    """Each exclusion meets a replacement of its own, forth and back; the whole `up` after it ends as it always does."""
    project = _begin(cloud, make_project, "spared")
    now, other = OLD, NEW
    try:
        with uninterrupted(cloud, "spared", "exclusions") as record:
            for kind in _some([*_urns(project, OLD), *(f"{kind} of the new version" for kind in UNMADE)]):
                project.edit(activate("spared", other, SPECS[other]))
                unmade = kind.endswith(" of the new version")
                urn = next(
                    urn
                    for name, urn in _urns(project, other if unmade else now).items()
                    if name.split()[0].endswith(kind.split()[0])
                )
                run = _tried(project, "--exclude", urn)
                deleted = re.findall(r" (\S+) deleted", run.output)
                _unharmed(cloud, "spared")
                if f"spared-{now}-group" in deleted:
                    assert deleted.index(f"spared-{now}-drain") < deleted.index(f"spared-{now}-group")
                if kind.startswith("VersionLock") and unmade:
                    # The engine has stored what depends on a lock that does not exist, and refuses to read that.
                    assert "snapshot integrity" in project.up("--skip-preview").fails().output
                    project.run("state", "repair", "--stack", "prod", "--yes").expect()
                project.up("--skip-preview").expect()
                serves(cloud, "spared", other, app="web-spared", nodes=1)
                assert set(cloud.groups("spared")) == {other}
                record.measured[f"exclude {kind}"] = round(run.seconds, 1)
                now, other = other, now
            project.up("--skip-preview", "--expect-no-changes").expect()
    finally:
        cloud.remove("web-spared")


def test_versions_that_stand_by_outlive_targets_and_exclusions(cloud: Cloud, make_project) -> None:
    """The way back and forth between two listed versions, with gate, cutover and hooks left out or alone."""
    project = _begin(cloud, make_project, "stood")
    try:
        with uninterrupted(cloud, "stood", "targets-of-standby"):
            project.edit(listing("stood", NEW, **SPECS))
            project.up("--skip-preview").expect()
            found = _urns(project, OLD, NEW)
            ours = [kind for kind in found if "nodepools:" in kind]
            wanted = OLD
            for kind in ours if os.environ.get("FULL") else sorted(sampled(ours, SEED, 2)):
                for flag in ("--target", "--exclude"):
                    project.edit(listing("stood", wanted, **SPECS))
                    _tried(project, flag, found[kind])
                    _unharmed(cloud, "stood")
                project.up("--skip-preview").expect()
                serves(cloud, "stood", wanted, app="web-stood", nodes=1)
                wanted = NEW if wanted == OLD else OLD
    finally:
        cloud.remove("web-stood")
