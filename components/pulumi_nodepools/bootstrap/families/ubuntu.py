"""Ubuntu (and Debian): update-grub, and a kubelet that may be a snap."""

from pulumi_nodepools.bootstrap.families.boot_loader import UPDATE_GRUB
from pulumi_nodepools.bootstrap.families.family import Family
from pulumi_nodepools.bootstrap.families.probes import USAGE

FAMILIES = (
    Family(
        name="ubuntu",
        title="Ubuntu",
        root_device="/dev/sda1",
        # EKS images have kubelet as the snap kubelet-eks, kubeadm's packages as a plain unit.
        join_units=("kubelet.service", "snap.kubelet-eks.daemon.service"),
        edit=UPDATE_GRUB,
        probe=USAGE,
        kubelet_file="/etc/default/kubelet",
        kernel_suffix="-[a-z]",
    ),
)
