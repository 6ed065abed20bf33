"""CentOS and RHEL 7, and Amazon Linux 2, whose user space is of the same age but whose kernel is not."""

from dataclasses import replace

from pulumi_nodepools.bootstrap.families.boot_loader import GRUBBY
from pulumi_nodepools.bootstrap.families.family import Family
from pulumi_nodepools.bootstrap.families.probes import SLABINFO, SLABINFO_OF_OTHERS, USAGE

_EL7 = Family(
    name="el7",
    title="CentOS/RHEL 7",
    root_device="/dev/sda1",
    join_units=("kubelet.service",),
    edit=GRUBBY,
    probe=SLABINFO,
    probe_from_outside=SLABINFO_OF_OTHERS,
    kubelet_file="/etc/sysconfig/kubelet",
    kernel_suffix=r"\.el[0-9]",
    needs_nokmem=True,
)
_AL2 = replace(
    _EL7,
    name="al2",
    title="Amazon Linux 2",
    root_device="/dev/xvda",
    probe=USAGE,
    probe_from_outside="",
    kernel_suffix=r"\.amzn[0-9]",
    needs_nokmem=False,
)
FAMILIES = (_EL7, _AL2)
