"""What a node needs to know to boot and join. Plain values only; which of them are refused is in `check`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PartType = Literal["cloud-config", "shell-script", "boothook", "settings"]


@dataclass(frozen=True)
class KubeadmJoin:
    """Join with kubeadm. The token itself never stands in user data, which every process on the node can read."""

    token_parameter: str = ""
    """Name of the SSM parameter (SecureString) that holds the bootstrap token; this or `token_secret`."""
    ca_cert_hashes: tuple[str, ...] = ()
    """`sha256:…` of the cluster's CA, at least one."""
    token_secret: str = ""
    """Name of the Secrets Manager secret whose string is the bootstrap token."""


@dataclass(frozen=True)
class EksJoin:
    """Join an EKS cluster with what its images bring: /etc/eks/bootstrap.sh, or nodeadm on Amazon Linux 2023."""

    service_cidr: str = ""
    """The cluster's service addresses, such as 10.100.0.0/16; nodeadm needs them, bootstrap.sh does not."""
    access_entry: bool = True
    """Whether a role that is made for nodes is admitted by an access entry; False where aws-auth alone admits nodes."""


@dataclass(frozen=True)
class UserPart:
    """Something of the user's own that a node runs: before it joins, on the boot that has the kernel arguments."""

    type: PartType
    """cloud-config: YAML for cloud-init's modules; shell-script: once per instance; boothook: early at every boot;
    settings: TOML for Bottlerocket, which knows none of the others."""
    name: str
    content: str


@dataclass(frozen=True)
class Bootstrap:
    """One version of a pool, as its nodes see it."""

    cluster: str
    endpoint: str
    certificate_authority: str
    """The cluster's CA, base64; used by the EKS joins only (kubeadm pins it by hash)."""
    join: KubeadmJoin | EksJoin
    region: str
    pool: str
    version: str
    group: str
    """Name of the Auto Scaling group whose launch hook the node completes."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    """`key=value:Effect` or `key:Effect`."""
    kernel_arguments: tuple[str, ...] = ()
    minimum_kernel: str | None = None
    kubelet_arguments: tuple[str, ...] = ()
    user_parts: tuple[UserPart, ...] = ()
    """Run in this order among their kind."""
