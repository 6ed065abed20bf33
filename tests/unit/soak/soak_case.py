"""Evidence for tests: a clock that starts at noon, one canary node, looks of 15 seconds."""

from dataclasses import replace

from pulumi_nodepools.soak.evidence import Boot, Evidence, Look, Run, Subject
from pulumi_nodepools.soak.model import Hit

NOON = 1588075200.0  # 2020-04-28T12:00:00Z
WINDOWS = {"kmem": 60.0}
SUBJECT = Subject("worker", "7.7.1908", "ami-0bbbbbbbbbbb77190", "sha256:1")
BOOT = Boot("node07", "uid-1", "boot-1", "3.10.0-1062.4.1.el7.x86_64", 0.0, 0.0)
CREATE = Hit(
    "kmem",
    "k-cache-create",
    "definite",
    "kmem_cache_create(nf_conntrack_ffff8d4c883c0000) failed with error -12",
    "node07",
    NOON + 5,
    "event",
    anchor=True,
)
EOF = Hit("kmem", "u-runc-eof", "weak", "caused EOF", "node07", NOON + 5, "pod soak-1", raised="strong")
FIFO = Hit("kmem", "u-fifo", "noise", "closed fifo", "node07", NOON + 5, "pod soak-1", raised="weak")


def begun(**changes):
    return replace(Evidence(SUBJECT, NOON, NOON), **changes)


def look(evidence, seconds=15.0, **changes):
    """The next look at one ready canary."""
    at = evidence.updated
    return Look(**{"begin": at, "end": at + seconds, "seconds": seconds, "boots": [BOOT]} | changes)


def after(evidence, *changes, times=1):
    """The evidence after looks, each with its changes."""
    for change in changes or ({},) * times:
        evidence = evidence.after(look(evidence, **change), WINDOWS)
    return evidence


def run(number, *, failed=False, group="canary", at=NOON):
    return Run(f"uid-{number}", group, failed, f"soak-{number}", "node07", at, "exit code 1" if failed else "")
