"""HostValidation: a given list of machines, asked over SSH for what a node must prove before it may join.

For machines that no NodePool made. It looks and changes nothing; the first machine that does not have what is asked for
fails the update with the reason, and what depends on the component is not touched.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import remote

from pulumi_nodepools import config_checks as checks
from pulumi_nodepools.bootstrap import FAMILIES, OsFamily
from pulumi_nodepools.bootstrap.host_check import host_check
from pulumi_nodepools.errors import ConfigError

TOKEN = "nodepools:ssh:HostValidation"  # noqa: S105 - a type token

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
# Some kernel values are root's alone; the script itself comes by standard input, so no quoting is in its way.
_RUN = (
    '/bin/sh -c \'if [ "$(id -u)" -ne 0 ] && sudo -n true 2>/dev/null; '
    "then exec sudo -n /bin/sh -s; fi; exec /bin/sh -s'"
)


@dataclass(frozen=True, kw_only=True)
class SshHost:
    """Where one machine answers, and the key it must answer with (`ssh-ed25519 AAAA…`): else anyone could answer."""

    address: pulumi.Input[str]
    host_key: pulumi.Input[str]
    port: pulumi.Input[int] = 22


@dataclass(frozen=True, kw_only=True)
class HostValidationArgs:
    """`hosts` by a name of yours, which messages and logical names use. `private_key` becomes a secret.

    A machine is asked when it is new, when what is asked for changes, and whenever one of `triggers` does. `user`
    should be root or have sudo without a password: what only root may read is else reported as unverifiable.
    """

    hosts: Mapping[str, SshHost]
    user: pulumi.Input[str]
    private_key: pulumi.Input[str]
    os_family: OsFamily
    kernel_arguments: Sequence[str] = ()
    minimum_kernel: str | None = None
    triggers: Sequence[pulumi.Input[Any]] = ()

    def __post_init__(self) -> None:
        wrong = [name for name in self.hosts if not _NAME.fullmatch(name)]
        if wrong:
            named = ", ".join(map(checks.shown, wrong))
            raise ConfigError(f"hosts: {named} cannot be a name: at most 63 letters, digits, '-' and '.'")
        if not self.hosts:
            raise ConfigError("hosts: is empty; name at least one machine")
        if not self.kernel_arguments and not self.minimum_kernel:
            raise ConfigError("nothing is asked of the hosts; give kernel_arguments or minimum_kernel")
        if self.os_family not in FAMILIES:
            raise ConfigError(f"os_family {self.os_family!r} is not known; use one of {', '.join(FAMILIES)}")
        if FAMILIES[self.os_family].document == "settings":
            raise ConfigError(f"os_family {self.os_family!r} has no shell that could be asked over SSH")
        for argument in self.kernel_arguments:
            checks.require("kernel_arguments", checks.kernel_argument, argument)
        if self.minimum_kernel:
            checks.require("minimum_kernel", checks.kernel_version, self.minimum_kernel)


class HostValidation(pulumi.ComponentResource):
    """One remote command per machine, all at once."""

    results: pulumi.Output[dict[str, str]]
    """What each machine said, by its name."""

    def __init__(self, name: str, args: HostValidationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        known = {
            "hosts": sorted(args.hosts),
            "osFamily": args.os_family,
            "kernelArguments": list(args.kernel_arguments),
            "minimumKernelVersion": args.minimum_kernel or "",
        }
        super().__init__(TOKEN, name, known, opts)
        commands = {
            host: remote.Command(
                f"{name}-{host}",
                connection=remote.ConnectionArgs(
                    host=where.address,
                    port=where.port,
                    user=args.user,
                    private_key=args.private_key,
                    host_key=where.host_key,
                ),
                create=_RUN,
                stdin=host_check(host, args.os_family, args.kernel_arguments, args.minimum_kernel),
                triggers=list(args.triggers),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for host, where in sorted(args.hosts.items())
        }
        self.results = pulumi.Output.all(**{host: command.stdout for host, command in commands.items()})
        self.register_outputs({"results": self.results})
