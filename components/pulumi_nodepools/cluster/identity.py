"""Who holds a Lease: this process, in words that another process on the same host can check against its own /proc.

`<host>-<pid>-<start>-<place>`: start is the process's start in clock ticks since boot, place a digest of host name,
boot and process namespace. Only where the place is the same do process ids mean the same.
"""

import hashlib
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_START, _STATE = 19, 0
"""Fields of /proc/<pid>/stat behind the command, as proc(5) counts them (22 and 3)."""
_ENDED = ("Z", "X")


@dataclass(frozen=True)
class Process:
    """A process as a Lease names it."""

    pid: int
    start: str
    place: str


def of_this_process(proc: Path = _PROC) -> str:
    """The identity of this process; without a /proc it is unique, and nobody can tell that it is dead."""
    host, pid = socket.gethostname(), os.getpid()
    start, place = _started(proc, pid), _place(proc)
    return f"{host}-{pid}-{start or '0'}-{place if start and place else secrets.token_hex(6)}"


def known_dead(holder: str, proc: Path = _PROC) -> bool:
    """Whether a holder ran here and has ended. False when that cannot be told."""
    process = _parsed(holder)
    if process is None or process.place != _place(proc):
        return False
    return _started(proc, process.pid) != process.start


def _parsed(holder: str) -> Process | None:
    parts = holder.rsplit("-", 3)
    if len(parts) != 4 or not (parts[1].isdigit() and parts[2].isdigit()):
        return None  # another kind of holder, or an earlier release's
    return Process(int(parts[1]), parts[2], parts[3])


def _place(proc: Path) -> str:
    """Empty where it cannot be told."""
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = (proc / "self/ns/pid").readlink()
    except OSError:
        return ""
    return hashlib.sha256(f"{socket.gethostname()} {boot} {namespace}".encode()).hexdigest()[:12]


def _started(proc: Path, pid: int) -> str:
    """When a living process began; empty if there is none of that number, or only its remains."""
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[_STATE] in _ENDED else fields[_START]
