"""Amazon Linux 2023. EKS images join by nodeadm, which reads a part of its own from the user data.

nodeadm-run.service starts after cloud-init, reads user data and then /etc/eks/nodeadm.d, and waits for kubelet to
become active for as long as it takes: it is gated as well, for a gated kubelet alone would hang it. The arguments with
the evidence are written to that folder by the validator and stand nowhere else. nodeadm is never called from here.
"""

from pulumi_nodepools.bootstrap.families.boot_loader import CMDLINE_FILE, GRUBBY
from pulumi_nodepools.bootstrap.families.family import Dialect, Family
from pulumi_nodepools.bootstrap.families.probes import USAGE
from pulumi_nodepools.bootstrap.model import Bootstrap, EksJoin

_WRITE_ARGUMENTS = r"""
write_kubelet_arguments() {
    file="$root/etc/eks/nodeadm.d/90-nodepools.yaml"
    mkdir -p "${file%/*}" && {
        printf 'apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  kubelet:\n    flags:\n'
        for word in $kubelet_arguments; do
            printf '      - "%s"\n' "$word"
        done
    } >"$file.new" && mv -f "$file.new" "$file"
}
"""

_JOIN = r"""
# nodeadm-run.service joins after cloud-init has ended.
say "nodeadm may join $cluster now"
"""


def _node_config(b: Bootstrap, join: EksJoin) -> str:
    # Every value has passed a pattern without quotes and backslashes.
    return f"""---
apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  cluster:
    name: "{b.cluster}"
    apiServerEndpoint: "{b.endpoint}"
    certificateAuthority: "{b.certificate_authority}"
    cidr: "{join.service_cidr}"
"""


def _dialect(b: Bootstrap) -> Dialect | None:
    if not isinstance(b.join, EksJoin):
        return None
    return Dialect(
        part=("application/node.eks.aws", "15-nodepools-nodeadm.yaml", _node_config(b, b.join)),
        write_arguments=_WRITE_ARGUMENTS,
        arguments_file="/etc/eks/nodeadm.d/90-nodepools.yaml",
        join=_JOIN,
    )


FAMILIES = (
    Family(
        name="al2023",
        title="Amazon Linux 2023",
        root_device="/dev/xvda",
        join_units=("nodeadm-run.service", "kubelet.service"),
        edit=GRUBBY + CMDLINE_FILE,
        probe=USAGE,
        kubelet_file="/etc/sysconfig/kubelet",
        kernel_suffix=r"\.amzn[0-9]",
        needs_service_cidr=True,
        cloud_init_dialect=_dialect,
    ),
)
