"""A machine in a scratch root: the rendered scripts run in it for real, with stand-ins for what would touch a host."""

import email
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_nodepools.bootstrap import FAMILIES, Bootstrap, EksJoin, KubeadmJoin, render
from tests.node_cloud import INSTANCE, Cloud

NOKMEM = "cgroup.memory=nokmem"
KERNEL = "3.10.0-1062.4.1.el7.x86_64"

CLOUD_INIT = [name for name, family in FAMILIES.items() if family.document == "mime"]
"""Families whose nodes read multipart MIME."""

TOOLS = {
    "grubby": '[ ! -e "$FAKE/grubby-fails" ] || exit 3\n'
    '[ -e "$FAKE/grubby-noop" ] || echo "${2#--args=}" >>"$FAKE/added"',
    "update-grub": '[ ! -e "$FAKE/update-grub-fails" ] || exit 3\n'
    # Reads its settings as the real one does: the main file, then the folder in order.
    'cd "$NODEPOOLS_ROOT/etc/default"; . ./grub; for f in grub.d/*.cfg; do [ ! -e "$f" ] || . "./$f"; done\n'
    'echo "$GRUB_CMDLINE_LINUX" >"$FAKE/added"',
    "systemctl": 'case "$*" in *reboot*) kill -TERM 0 ;; esac',
    "sleep": "exit 0",
    "sync": "exit 0",
    "dmesg": 'cat "$FAKE/dmesg"',
    "kubeadm": '[ ! -e "$FAKE/kubeadm-fails" ]',
    "rmdir": 'rm -r "$1"',
    "mkdir": """/bin/mkdir "$@" || exit 1
for path; do
    case "$path" in */nodepools-probe) ln -s "$(cat "$FAKE/slabinfo")" "$path/memory.kmem.slabinfo" ;; esac
done""",
}


def bootstrap(**changes) -> Bootstrap:
    values = {
        "cluster": "prod",
        "endpoint": "https://api.prod.example:6443",
        "certificate_authority": "",
        "join": KubeadmJoin("/prod/join-token", ("sha256:" + "a1" * 32,)),
        "region": "us-west-2",
        "pool": "worker",
        "version": "7.7.1908",
        "group": "prod-worker-7.7.1908",
        "labels": {"team": "ci"},
        "kernel_arguments": (NOKMEM,),
        "minimum_kernel": "3.10.0-1062.4.1",
    }
    return Bootstrap(**(values | changes))


def eks(**changes) -> Bootstrap:
    return bootstrap(join=EksJoin(), certificate_authority="Q0E=", **changes)


def parts(text: str) -> dict[str, str]:
    """Content type -> script, read by the standard library's parser and not by our writer's mirror image."""
    message = email.message_from_string(text)
    return {part.get_content_type(): part.get_payload() for part in message.walk() if not part.is_multipart()}


class Machine:
    def __init__(self, folder: Path, cloud: Cloud) -> None:
        self.cloud = cloud
        self.root = folder / "root"
        self.fake = folder / "fake"
        self.tools = folder / "tools"
        for made in (self.fake, self.tools, *(self.root / name for name in ("dev", "proc/sys/kernel", "etc/default"))):
            made.mkdir(parents=True)
        for name, body in TOOLS.items():
            tool = self.tools / name
            log = f'echo "{name} $*" >>"$FAKE/calls"\n' if name not in {"mkdir", "sleep", "sync"} else ""
            tool.write_text(f"#!/bin/sh\n{log}{body}\n")
            tool.chmod(0o755)
        (self.fake / "calls").touch()
        (self.fake / "dmesg").write_text("[    0.000000] Command line: ro\n")
        (self.root / "etc/default/grub").write_text('GRUB_CMDLINE_LINUX="crashkernel=auto"\n')
        self.cmdline = "ro root=/dev/xvda1"
        self.kernel = KERNEL

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (self.root / "proc/cmdline").write_text(self.cmdline + "\n")
        (self.root / "proc/sys/kernel/osrelease").write_text(self.kernel + "\n")
        script_file = self.fake / "script"
        script_file.write_text(script.removeprefix("#cloud-boothook\n"))
        script_file.chmod(0o700)
        seams = {
            "PATH": f"{self.tools}:{os.environ['PATH']}",
            "NODEPOOLS_ROOT": str(self.root),
            "NODEPOOLS_METADATA": self.cloud.metadata,
            "NODEPOOLS_ENDPOINT": self.cloud.endpoint,
            "FAKE": str(self.fake),
        }
        return subprocess.run(
            [script_file],
            env=seams | environment,
            capture_output=True,
            check=False,
            text=True,
            timeout=30,
            start_new_session=True,
        )

    def boothook(self, made: Bootstrap, family: str = "el7") -> subprocess.CompletedProcess[str]:
        return self.run(parts(render(family, made))["text/cloud-boothook"], INSTANCE_ID=INSTANCE)

    def join(self, made: Bootstrap, family: str = "el7") -> subprocess.CompletedProcess[str]:
        return self.run(parts(render(family, made))["text/x-shellscript"])

    def power_on(self) -> None:
        """The next boot's command line: what the boot loader was told."""
        added = self.fake / "added"
        self.cmdline = "ro root=/dev/xvda1 " + (added.read_text().replace("\n", " ") if added.exists() else "")

    def cgroups(self, slabinfo: str) -> None:
        """A v1 memory hierarchy whose children's slabinfo leads to `slabinfo` (/proc/self/mem answers EIO)."""
        memory = self.root / "sys/fs/cgroup/memory"
        memory.mkdir(parents=True)
        (memory / "memory.limit_in_bytes").touch()
        (self.fake / "slabinfo").write_text(slabinfo)

    def calls(self, tool: str) -> list[str]:
        lines = (self.fake / "calls").read_text().splitlines()
        return [line.removeprefix(tool + " ") for line in lines if line.startswith(tool + " ")]

    @property
    def reboots(self) -> int:
        return sum("reboot" in call for call in self.calls("systemctl"))

    def dropin(self, name: str, unit: str = "kubelet.service") -> Path:
        return self.root / "etc/systemd/system" / f"{unit}.d" / name


@pytest.fixture
def machine(tmp_path) -> Iterator[Machine]:
    with Cloud() as cloud:
        yield Machine(tmp_path, cloud)
        assert cloud.faults == [], "every call is signed as AWS asks"
