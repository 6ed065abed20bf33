"""What the startup validator says of a node, and what it changes there."""

import subprocess
import sys

import pytest

from pulumi_nodepools.in_cluster.startup_validator import change, refusal
from pulumi_nodepools.names import STARTUP_TAINT
from pulumi_nodepools.pod_files import validator_files

LABELS = {"nodepools.dev/pool": "worker", "nodepools.dev/version": "v2"}
WANTED = {"worker-v2": {"kernelArguments": ["cgroup.memory=nokmem", "nosmt"], "minimumKernel": "6.1.0-20"}}
LINE = "ro cgroup.memory=nokmem nosmt quiet"
CNI = {"key": "node.cilium.io/agent-not-ready", "effect": "NoSchedule"}
OURS = {"key": STARTUP_TAINT, "effect": "NoSchedule"}


def node(taints=(OURS,), annotations=None, labels=LABELS):
    meta = {"name": "n", "resourceVersion": "7", "labels": dict(labels), "annotations": annotations}
    return {"metadata": meta, "spec": {"taints": [*taints]}}


@pytest.mark.parametrize(
    ("line", "release", "why"),
    [
        (LINE, "6.1.0-20-amd64", ""),
        (LINE, "6.8.0", ""),
        (LINE.replace("nosmt", "nosmt2"), "6.8.0", "kernel argument nosmt is not in /proc/cmdline"),
        ("ro nosmt -- cgroup.memory=nokmem", "6.8.0", "kernel argument cgroup.memory=nokmem is not in /proc/cmdline"),
        (LINE, "6.1.0-19-amd64", "kernel 6.1.0-19-amd64 is older than 6.1.0-20"),
    ],
)
def test_a_node_is_judged_by_its_kernel(line, release, why):
    assert refusal(WANTED, LABELS, line, release) == why


@pytest.mark.parametrize("labels", [{}, {**LABELS, "nodepools.dev/version": "v3"}])
def test_a_version_that_nothing_is_known_of_is_never_proved(labels):
    assert "nothing is known of" in refusal(WANTED, labels, LINE, "6.8.0")


def test_a_proved_node_loses_our_taint_only_and_gets_the_evidence():
    assert change(node([CNI, OURS]), "") == {
        "metadata": {
            "resourceVersion": "7",
            "labels": {"nodepools.dev/validated": "worker-v2"},
            "annotations": {"nodepools.dev/refused": None},
        },
        "spec": {"taints": [CNI]},
    }


def test_a_refused_node_keeps_its_taint_and_says_why_once():
    assert change(node(), "too old") == {
        "metadata": {"resourceVersion": "7", "annotations": {"nodepools.dev/refused": "too old"}}
    }
    assert change(node(annotations={"nodepools.dev/refused": "too old"}), "too old") is None


def test_a_node_without_the_taint_is_left_alone():
    assert change(node([CNI]), "") is None


def test_what_is_shipped_runs_on_its_own(tmp_path):
    """In a folder with nothing else of the library, by another Python without its packages."""
    for path, text in validator_files().items():
        copy = tmp_path / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text)
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from pulumi_nodepools.in_cluster import startup_validator
print(startup_validator.__file__)
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith(str(tmp_path)), done.stderr
