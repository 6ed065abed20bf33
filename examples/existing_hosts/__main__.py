"""Machines that no NodePool made: asked over SSH whether they run the fix, in each `pulumi up` with a new `round`.

Set the key with `pulumi config set --secret privateKey < key`. Each machine's own key is what `ssh-keyscan -t ed25519`
prints after its name; compare it with the machine's console once.
"""

import pulumi

from pulumi_nodepools import HostValidation, HostValidationArgs, SshHost

settings = pulumi.Config()

validation = HostValidation(
    "patched",
    HostValidationArgs(
        hosts={name: SshHost(**where) for name, where in settings.require_object("hosts").items()},
        user=settings.get("user") or "centos",
        private_key=settings.require_secret("privateKey"),
        os_family="el7",
        kernel_arguments=["cgroup.memory=nokmem"],
        minimum_kernel="3.10.0-1062.4.1",
        triggers=[settings.get("round") or ""],
    ),
)

pulumi.export("validated", validation.results)
