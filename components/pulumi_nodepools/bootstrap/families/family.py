"""What differs between families, as data and shell text. Which values enter the text is render's business.

The text runs between the shared pieces of `scripts` and uses their functions (`say`, `fail`, `abandon`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pulumi_nodepools.bootstrap import signed_call
from pulumi_nodepools.bootstrap.model import Bootstrap, PartType


@dataclass(frozen=True)
class Family:
    """One value of `osFamily`."""

    name: str
    title: str
    """As people call it, for messages."""
    root_device: str
    """The device name of the root volume in the family's usual images."""
    join_units: tuple[str, ...]
    """systemd units that bring the node into the cluster; each is gated by the kernel arguments."""
    edit: str
    """Shell: puts the words of $missing into the boot loader for the next boot, or calls `fail`."""
    probe: str
    """Shell: `probe_accounting`, which abandons when the kernel still accounts kernel memory."""
    kubelet_file: str
    """The environment file of kubeadm's kubelet.service."""
    kernel_suffix: str
    """What may follow the numbers of a kernel release: an awk expression."""
    document: Literal["mime", "ignition", "settings"] = "mime"
    """What its first program reads: cloud-init's parts, Ignition's JSON, or Bottlerocket's TOML."""
    part_types: tuple[PartType, ...] = ("cloud-config", "shell-script", "boothook")
    """The user's own parts that can stand in it."""
    joins: tuple[Literal["kubeadm", "eks"], ...] = ("kubeadm", "eks")
    aws_call: str = signed_call.SHELL
    """Shell: `aws_call`, by what the image has."""
    answers_launch_hook: bool = True
    """Whether a node can say itself that it is proved; if not, a StartupValidator in the cluster must."""
    probe_from_outside: str = ""
    """Shell: the same without changing anything, where `probe` does; for machines that run already."""
    needs_nokmem: bool = False
    """Whether the family's kernel leaks kernel memory unless it is told not to account it."""
    needs_service_cidr: bool = False
    """Whether its own way to join asks for the cluster's service addresses."""
    cloud_init_dialect: Callable[[Bootstrap], "Dialect | None"] = lambda _: None
    """How the node joins when its image has a way of its own; None: by the join that the cluster names."""


@dataclass(frozen=True)
class Dialect:
    """A family's own way to join, in place of the shared one."""

    part: tuple[str, str, str]
    """An extra MIME part: content type, file name, text."""
    write_arguments: str
    """Shell: `write_kubelet_arguments`, which hands $kubelet_arguments to whatever starts kubelet."""
    arguments_file: str
    """Where it writes them, for the message when it cannot."""
    join: str
    """Shell: what is left for the join script to do once the node is validated."""
