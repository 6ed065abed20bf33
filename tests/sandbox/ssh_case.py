"""Machines behind a real sshd on loopback: Debian's openssh-server, run by whoever runs the tests, on a free port."""

import contextlib
import getpass
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox.control_plane import free_ports
from tests.tools import tool

KERNEL = "3.10.0-1160.el7.x86_64"
SUDO = '#!/bin/sh\nshift\nexec env NODEPOOLS_ROOT="$NODEPOOLS_ROOT" "$@"\n'


@dataclass(frozen=True)
class Host:
    """One machine: what its own files say is below `root`."""

    root: Path
    port: int
    host_key: str
    user: str
    private_key: str
    log: Path


@contextlib.contextmanager
def host(folder: Path, cmdline: str, kernel: str = KERNEL) -> Iterator[Host]:
    """A machine with this kernel command line, for as long as the block runs."""
    made = _laid_down(folder, cmdline, kernel)
    with made.log.open("wb") as log:
        process = subprocess.Popen([tool("sshd"), "-D", "-e", "-f", folder / "sshd_config"], stderr=log)
        try:
            _wait(process, made)
            yield made
        finally:
            process.terminate()
            process.wait(10)


def _laid_down(folder: Path, cmdline: str, kernel: str) -> Host:
    root, tools = folder / "root", folder / "tools"
    (root / "proc/sys/kernel").mkdir(parents=True)
    (root / "proc/cmdline").write_text(cmdline + "\n")
    (root / "proc/sys/kernel/osrelease").write_text(kernel + "\n")
    tools.mkdir()
    # Were the tests run by a user with sudo, the machine's own would forget where the scratch root is.
    (tools / "sudo").write_text(SUDO)
    (tools / "dmesg").write_text("#!/bin/sh\necho '[    0.000000] Linux version'\n")
    for each in tools.iterdir():
        each.chmod(0o755)
    for name in ("host", "user"):
        subprocess.run(
            [tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / name], check=True, timeout=30
        )
    (port,) = free_ports(1)
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        f"PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"SetEnv NODEPOOLS_ROOT={root} PATH={tools}:/usr/bin:/bin\n"
    )
    if os.geteuid() == 0:  # as root it separates privileges, and asks for the folder that the service would make
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    key = (folder / "host.pub").read_text().strip()
    return Host(root, port, key, getpass.getuser(), (folder / "user").read_text(), folder / "sshd.log")


def _wait(process: "subprocess.Popen[bytes]", made: Host) -> None:
    """Until it listens: the log is a file, so its end is looked at each time a connection is refused."""
    for _ in range(600):
        if process.poll() is not None:
            raise AssertionError(f"sshd ended with {process.returncode}:\n{made.log.read_text()}")
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", made.port), 1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    raise AssertionError(f"sshd does not listen on {made.port}:\n{made.log.read_text()}")
