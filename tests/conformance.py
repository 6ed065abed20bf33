"""docs/conformance.md: which behaviour of other drains was replayed, what ours does, and the test that shows it.

Tests carry `replays(source, ours)`; the table is made from them, so it cannot name a test that is not there.
`python -m tests.conformance` writes it. Loaded as a pytest plugin it collects the marks.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parent.parent / "docs" / "conformance.md"
_OUT = "CONFORMANCE_OUT"
_SOURCES = {
    "kubectl": "kubectl drain, its `TestDrain` table and the library under it",
    "capi": "Cluster API, the machine's drain",
    "karpenter": "Karpenter, termination and eviction queue",
    "eksctl": "eksctl, draining node groups",
    "kured": "kured",
    "upgrade-manager": "upgrade-manager",
    "bouncer": "bouncer",
}
_HEAD = """# Conformance

What the test suites of other drains expect, replayed as behaviour, and what ours does. Tests under `tests/apiserver`
run against a real API server; those under `tests/unit` tell the pure machine event by event, where only its arithmetic
matters. Where ours differs, the row says why. Written by `python -m tests.conformance`; a test compares it with the
tests that are there.
"""
NOT_OURS = (
    (
        "kubectl: CheckEvictionSupport none, v1beta1",
        "every server since 1.22 has policy/v1; older ones are not supported",
    ),
    (
        "kubectl: every row with `--disable-eviction`",
        "nothing but `onTimeout: force` ever deletes, and only when time is up",
    ),
    ("kubectl: additional filters", "there is no way to plug code into the classification; annotations say it instead"),
    (
        "capi: MachineDrainRule objects",
        "no such kind is read; priorities order pods, annotations skip them or let them finish",
    ),
    ("capi: nothing asked again within 20 s", "nothing is asked again at all: the watch tells"),
    ("capi: truncated condition messages", "the report has every pod; only the error's text names the first 20"),
    (
        "capi, karpenter: volumes still attached",
        "a wait of its own after the pods: `tests/apiserver/test_drain_volumes.py`",
    ),
    (
        "capi: node with the exclude annotation",
        "nodes are chosen by name, label or pool; what is not chosen is not drained",
    ),
    ("karpenter: NodeClaims, registration, label before the drain", "nodes belong to Auto Scaling groups here"),
    ("eksctl: no policy API", "as for kubectl"),
    ("upgrade-manager: drift, standby, zones", "versions of a pool are whole groups: nothing drifts in place"),
)


def replays(source, ours):
    """Mark a test as the replay of another drain's row."""
    return pytest.mark.replays(source, ours)


def row(source, ours, *values):
    """One parameter set, named after the row that it replays."""
    return pytest.param(*values, id=source, marks=replays(source, ours))


def pytest_collection_finish(session):
    """Write down the marks of what was collected, if somebody asked for them."""
    if _OUT in os.environ:
        found = [[*mark.args, item.nodeid] for item in session.items for mark in item.iter_markers("replays")]
        Path(os.environ[_OUT]).write_text(json.dumps(found))


def rows():
    """(source, ours, test) of every replay in the test suite."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", "-p", "tests.conformance"]
        done = subprocess.run(
            [*command, "tests/apiserver", "tests/unit"],
            check=False,
            capture_output=True,
            text=True,
            cwd=DOCUMENT.parent.parent,
            env=os.environ | {_OUT: out.name},
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        found = json.loads(Path(out.name).read_text())
    return sorted({(source, ours, _short(test)) for source, ours, test in found})


def document():
    """The whole text."""
    found = rows()
    parts = [_HEAD]
    for source, title in _SOURCES.items():
        mine = [entry for entry in found if entry[0].startswith(source + ":")]
        if mine:
            parts.append(f"## {title}\n\n| row | ours | test |\n|---|---|---|")
            parts[-1] += "".join(f"\n| {name} | {ours} | `{test}` |" for name, ours, test in mine) + "\n"
    unknown = [name for name, _, _ in found if name.partition(":")[0] not in _SOURCES]
    assert not unknown, f"no such source: {unknown}"
    parts.append("## Left out\n\n| row | why |\n|---|---|" + "".join(f"\n| {name} | {why} |" for name, why in NOT_OURS))
    return "\n".join(parts) + "\n"


def _short(test):
    path, _, name = test.partition("::")
    return f"{path.removeprefix('tests/')}::{name.partition('[')[0]}"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
