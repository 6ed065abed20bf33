"""Hits, the lines that lower them, and the neighbours that raise them."""

import re

import pytest

from pulumi_nodepools.soak.correlate import correlate
from pulumi_nodepools.soak.kmem import KMEM
from pulumi_nodepools.soak.match import Matcher
from pulumi_nodepools.soak.model import LINE_LIMIT, Hit, Line

CREATE = "kmem_cache_create(nf_conntrack_ffff8d4c883c0000) failed with error -12"
SLUB = "SLUB: Unable to allocate memory on node -1 (gfp=0x8020)"
ROOT = "  cache: kmalloc-64, object size: 64, buffer size: 64, default order: 0, min order: 0"
EOF = 'process_linux.go:319: getting the final child\'s pid from pipe caused "EOF"'
WINDOWS = {"kmem": 60.0}
ANCHOR = "k-cache-create"


def hits(*lines):
    matcher = Matcher([KMEM], re.compile)
    return [hit for line in lines for hit in matcher.feed(line)] + list(matcher.finish())


def kernel(text, at=100.0, node="node07", source="kernel log"):
    return Line(text, "kernel", node, at, source)


def program(text, at=100.0, node="node07"):
    return Line(text, "program", node, at, "pod")


def test_a_slub_header_of_a_root_cache_is_weak_and_no_anchor():
    (hit,) = hits(kernel(SLUB), kernel(ROOT))
    assert (hit.signature, hit.weight, hit.anchor) == ("k-slub", "weak", False)


def test_lines_of_other_nodes_and_programs_do_not_lower_a_slub_header():
    (hit,) = hits(kernel(SLUB), program("hello"), kernel(ROOT, node="other"), kernel(ROOT, source="other log"))
    assert (hit.weight, hit.anchor) == ("strong", True)
    (hit,) = hits(kernel(SLUB), kernel("something else"), kernel(ROOT))
    assert hit.weight == "strong", "only the line that follows speaks of the same allocation"


def test_kernel_patterns_do_not_look_at_programs_lines():
    assert hits(program(CREATE)) == []


def test_a_hit_keeps_a_short_line():
    (hit,) = hits(program(EOF + " x" * LINE_LIMIT))
    assert len(hit.line) == LINE_LIMIT


@pytest.mark.parametrize(
    ("seconds", "weight", "near"),
    [(0, "strong", ANCHOR), (60, "strong", ANCHOR), (-60, "strong", ANCHOR), (61, "weak", "")],
)  # fmt: skip
def test_a_kernel_signature_raises_within_60_seconds_inclusive(seconds, weight, near):
    found = correlate(hits(kernel(CREATE), program(EOF, at=100.0 + seconds)), WINDOWS)
    assert [(hit.weight, hit.near) for hit in found if hit.signature == "u-runc-eof"] == [(weight, near)]


@pytest.mark.parametrize(("node", "weight"), [("node07", "strong"), ("", "strong"), ("node08", "weak")])
def test_only_the_same_node_counts_when_it_is_known(node, weight):
    found = correlate(hits(kernel(CREATE), program(EOF, node=node)), WINDOWS)
    assert found[-1].weight == weight


def test_without_a_time_nothing_is_near():
    assert correlate(hits(kernel(CREATE), program(EOF, at=None)), WINDOWS)[-1].weight == "weak"
    assert correlate(hits(kernel(CREATE, at=None), program(EOF)), WINDOWS)[-1].weight == "weak"


def test_a_strong_program_line_is_no_anchor():
    mkdir = "mkdir /sys/fs/cgroup/memory/docker/1: cannot allocate memory"
    assert [hit.weight for hit in correlate(hits(program(mkdir), program(EOF)), WINDOWS)] == ["strong", "weak"]


def test_noise_is_told_only_beside_an_anchor():
    netdev = kernel("unregister_netdevice: waiting for lo to become free. Usage count = 1")
    assert correlate(hits(netdev), WINDOWS) == []
    assert [hit.weight for hit in correlate(hits(netdev, kernel(CREATE)), WINDOWS)] == ["weak", "definite"]


def test_an_anchor_raises_its_own_set_only():
    other = Hit("other", "x", "weak", "line", "node07", 100.0, "pod", raised="strong")
    assert correlate([*hits(kernel(CREATE)), other], {**WINDOWS, "other": 60.0})[-1].weight == "weak"
