"""What a user has written off: findings that are known, and are not to stop anything. Pure.

An entry is `<reason>/<namespace>/<name>`, or `<reason>/<name>` for what has no namespace; `*` stands for anything.
Consent to lose pods or data is not given here: that has settings of its own (`barePods`, `emptyDir`).
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from pulumi_nodepools.errors import ConfigError

REASONS = (
    "bare-pod",
    "kubelet-unreachable",
    "local-data",
    "no-place",
    "opted-out",
    "pdb-impossible",
    "pdb-multiple",
    "pdb-sync-failed",
    "stuck-finalizer",
    "terminating-grace",
    "webhook-backends",
)
"""The reasons of findings that stop something unless they are acknowledged."""


def require_entry(entry: str) -> str:
    """The entry as it is; ConfigError if it can never match a finding."""
    reason, slash, thing = entry.partition("/")
    if reason not in REASONS or not slash or not thing or thing.count("/") > 1:
        raise ConfigError(
            f"drain.acknowledge: {entry!r} is not <reason>/<namespace>/<name>, such as pdb-impossible/shop/web or "
            f"opted-out/jobs/*; reasons: {', '.join(REASONS)}"
        )
    return entry


def covers(entries: Iterable[str], reason: str, thing: str) -> bool:
    """Whether one of the entries names a finding. `thing` is its object without its kind: `shop/web`."""
    return any(fnmatchcase(f"{reason}/{thing}", entry) for entry in entries)
