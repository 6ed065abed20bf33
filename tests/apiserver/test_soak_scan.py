"""`nodepools soak scan` reads pod logs and Events through the real API server."""

import json
import subprocess
import sys
import time

import pytest

from tests.apiserver.soak_case import add_node, add_node_event, add_pod, kubelet

pytestmark = pytest.mark.apiserver
__all__ = ["kubelet"]

CREATE = "kmem_cache_create(nf_conntrack_ffff8d4c883c0000) failed with error -12"
EOF = b'OCI runtime create failed: process_linux.go:319: getting the final child\'s pid from pipe caused \\"EOF\\"'


@pytest.fixture
def scan(cluster):
    def run(*arguments):
        env = {"PATH": "/usr/bin:/bin", "KUBECONFIG": str(cluster.plane.kubeconfig)}
        command = [sys.executable, "-m", "pulumi_nodepools.cli", "soak", "scan", *arguments, "--output", "json"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100, env=env)
        return done.returncode, json.loads(done.stdout), done.stderr

    return run


def test_pod_logs_and_events_of_one_node_are_read_together(cluster, kubelet, scan):
    now = time.time()
    space = cluster.namespace()
    add_node(cluster, kubelet, "scan-a")
    add_pod(cluster, space, "kind-1", "scan-a")
    add_pod(cluster, space, "other", "scan-a", labels={"app": "other"})
    kubelet.write(space, "kind-1", "main", b"\xff\xfe broken", EOF, b"x" * 40_000, at=now)
    code, clean, _ = scan("--pods", space, "--selector", "app=other")
    assert (code, clean["outcome"]) == (0, "clean")
    code, alone, _ = scan("--pods", space)
    assert [(one["signature"], one["weight"]) for one in alone["findings"]] == [("u-runc-eof", "weak")]
    assert code == 2
    assert {one["source"]: one["lines"] for one in alone["sources"]} == {
        f"pod {space}/kind-1 main": 3,
        f"pod {space}/other main": 0,
    }
    add_node_event(cluster, "scan-a", CREATE, at=now + 30)
    code, both, _ = scan("--pods", space, "--events")
    assert [(one["signature"], one["weight"], one["node"]) for one in both["findings"]] == [
        ("k-cache-create", "definite", "scan-a"),
        ("u-runc-eof", "strong", "scan-a"),
    ]


def test_a_node_that_does_not_answer_is_an_error_and_no_clean_scan(cluster, scan):
    space = cluster.namespace()
    (silent,) = cluster.nodes("silent", 1)
    add_pod(cluster, space, "kind-1", silent)
    code, document, errors = scan("--pods", space)
    assert code == 1
    assert document["outcome"] == "failed"
    assert "kind-1" in errors


def test_events_of_programs_do_not_speak_for_the_kernel(cluster, kubelet, scan):
    add_node(cluster, kubelet, "scan-b")
    add_node_event(cluster, "scan-b", CREATE, component="my-controller")
    _, document, _ = scan("--events")
    assert [one for one in document["findings"] if one["node"] == "scan-b"] == []
