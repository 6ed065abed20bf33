"""The validator's checks as a script of their own, for machines that run already: it looks and changes nothing.

The shell text is that of the node's validator; only what happens on a failure differs: the reason is printed, and the
script ends with 1. How it gets to a machine is the caller's business.
"""

import shlex
from collections.abc import Sequence

from pulumi_nodepools.bootstrap import scripts
from pulumi_nodepools.bootstrap.check import turns_accounting_off
from pulumi_nodepools.bootstrap.families import FAMILIES

_HEAD = r"""
root="${NODEPOOLS_ROOT:-}"
state="$root/var/lib/nodepools"

say() {
    echo "$host: $*"
}

abandon() {
    say "$*"
    exit 1
}
"""

_MAIN = r"""
set -f
check_arguments "$@"
check_kernel
if [ -n "$probe_kmem" ]; then
    probe_accounting
    check_messages
fi
say "validated: kernel $(cat "$root/proc/sys/kernel/osrelease")${1:+ with $*}"
"""


def host_check(host: str, os_family: str, kernel_arguments: Sequence[str], minimum_kernel: str | None) -> str:
    """POSIX sh that ends with 0 when the machine has the arguments and the kernel; values must have been checked."""
    family = FAMILIES[os_family]
    values = {
        "host": host,
        "minimum_kernel": minimum_kernel or "",
        "probe_kmem": "yes" if turns_accounting_off(kernel_arguments) else "",
    }
    lines = ["#!/bin/sh", *(f"{name}={shlex.quote(value)}" for name, value in values.items())]
    lines.append(f"set -- {shlex.join(kernel_arguments)}".rstrip())
    probe = family.probe_from_outside or family.probe
    text = _HEAD + scripts.BOOTED_WITH + scripts.CHECKS + probe + scripts.CHECK_MESSAGES + _MAIN
    return "\n".join(lines) + "\n" + text.replace("@KERNEL_SUFFIX@", family.kernel_suffix)
