"""Flatcar: Ignition instead of cloud-init, an image without Python and without a kubelet of its own.

Ignition sets the kernel arguments and restarts before anything of ours runs. kubeadm and kubelet come by a system
extension or in /opt/bin, with kubeadm's usual kubelet.service.
"""

from pulumi_nodepools.bootstrap import curl_call, ignition
from pulumi_nodepools.bootstrap.families.family import Family
from pulumi_nodepools.bootstrap.families.probes import USAGE

FAMILIES = (
    Family(
        name="flatcar",
        title="Flatcar",
        root_device="/dev/xvda",
        join_units=("kubelet.service",),
        edit="",
        probe=USAGE,
        kubelet_file=ignition.KUBELET_ENVIRONMENT,
        kernel_suffix="-[a-z]",
        document="ignition",
        part_types=(),
        joins=("kubeadm",),
        aws_call=curl_call.SHELL,
    ),
)
