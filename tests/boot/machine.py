"""A machine under QEMU emulation: its power-ons one by one, and what each said on the console.

The emulator leaves where a machine would restart (`-no-reboot`), and is started again: so power-ons are counted by
the host. A boot that nothing restarts ends itself and says so.
"""

import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.boot.image import Image
from tests.node_cloud import INSTANCE, Cloud

BOOT_SECONDS = 600
"""Emulation on two busy cores takes a minute or two for a boot; timings vary by a factor of two."""
MAX_POWER_ONS = 4
_END = "boot-test: end"
_RELAY = Path(__file__).parent / "relay.py"


@dataclass(frozen=True)
class Boot:
    """One power-on."""

    console: str
    seconds: float

    @property
    def command_line(self) -> str:
        """As the kernel itself tells it."""
        found = re.search(r"^\[ +0\.0+\] Command line: (.*)$", self.console, re.MULTILINE)
        return found[1].strip() if found else ""

    @property
    def ended(self) -> bool:
        return _END in self.console

    def said(self, prefix: str) -> list[str]:
        """What follows `prefix` on the lines of the console, which other writers share."""
        return [line.partition(prefix)[2].strip() for line in self.console.splitlines() if prefix in line]


@dataclass
class Machine:
    """`fault` is what its image breaks on purpose; `append` boots the kernel directly, with this command line."""

    folder: Path
    image: Image
    cloud: Cloud
    user_data: str
    fault: str = "none"
    append: str = ""
    boots: list[Boot] = field(default_factory=list)

    def run(self) -> None:
        """Power on until a boot ends by itself; more than MAX_POWER_ONS is a loop."""
        self._prepare()
        while len(self.boots) < MAX_POWER_ONS:
            self.boots.append(self._power_on())
            if self.boots[-1].ended:
                return

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "user-data").write_text(self.user_data)
        (self.folder / "meta-data").write_text(f"instance-id: {INSTANCE}\nlocal-hostname: node\n")
        seed = ["genisoimage", "-quiet", "-o", "seed.iso", "-volid", "cidata", "-joliet", "-rock"]
        disk = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", self.image.disk, "disk.qcow2"]
        for command in ([*seed, "user-data", "meta-data"], disk):
            subprocess.run(command, cwd=self.folder, check=True)

    def _power_on(self) -> Boot:
        began = time.monotonic()
        console = self.folder / f"console-{len(self.boots) + 1}.log"
        with console.open("wb") as output:
            subprocess.run(
                self._command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                check=True, timeout=BOOT_SECONDS,
            )  # fmt: skip
        return Boot(console.read_text(errors="replace"), round(time.monotonic() - began, 1))

    def _command(self) -> list[str]:
        relay = f"{sys.executable} {_RELAY} {self.cloud.port}"
        direct = ["-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd), "-append", self.append]
        return [
            "qemu-system-x86_64",
            *("-accel", "tcg", "-cpu", "max", "-m", "1024", "-nographic", "-no-reboot"),
            *("-drive", "file=disk.qcow2,if=virtio,format=qcow2"),
            *("-drive", "file=seed.iso,if=virtio,format=raw,readonly=on"),
            *("-netdev", f"user,id=net,net=169.254.169.0/24,guestfwd=tcp:169.254.169.254:80-cmd:{relay}"),
            *("-device", "virtio-net-pci,netdev=net"),
            *("-smbios", f"type=1,serial={self.fault}"),
            *(direct if self.append else []),
        ]
