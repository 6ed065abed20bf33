"""RHEL, Rocky and Alma 8 to 10: boot entries that grubby edits, and /etc/kernel/cmdline for kernels still to come."""

from pulumi_nodepools.bootstrap.families.boot_loader import CMDLINE_FILE, GRUBBY
from pulumi_nodepools.bootstrap.families.family import Family
from pulumi_nodepools.bootstrap.families.probes import USAGE

FAMILIES = tuple(
    Family(
        name=f"el{number}",
        title=f"RHEL/Rocky {number}",
        root_device="/dev/sda1",
        join_units=("kubelet.service",),
        edit=GRUBBY + CMDLINE_FILE,
        probe=USAGE,
        kubelet_file="/etc/sysconfig/kubelet",
        kernel_suffix=r"\.el[0-9]",
    )
    for number in (8, 9, 10)
)
