"""One instance: its power-ons, its scripts, its kubelet. What the scripts ask of the host ends up in `command`."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import yaml

from pulumi_nodepools import names
from sandbox.fleet import systemd
from sandbox.fleet.cloud import Cloud, Instance
from sandbox.fleet.userdata import Part, UserData

TOOLS = Path(__file__).parent / "tools"
KUBELET = "kubelet.service"
NODEADM = "nodeadm-run.service"
UNITS = frozenset({KUBELET, NODEADM, "snap.kubelet-eks.daemon.service"})
JOINED = "var/lib/joined-with-arguments"
SCRIPT_SECONDS = 120.0
MAX_POWER_ONS = 6
"""A loop of reboots is cut off here and reported, so that a test sees it instead of hanging."""
_REASON = "nodepools: ABANDON: "


@dataclass
class Record:
    """What instances.json tells of an instance."""

    image: str
    group: str
    zone: str
    node: str
    providerId: str  # noqa: N815 - a key of the file
    state: str = "pending"
    """pending, booting, joined, refused, failed, terminated"""
    kernel: str = ""
    cmdline: str = ""
    powerOns: int = 0  # noqa: N815
    boots: list[str] = field(default_factory=list)
    """The command line of each power-on."""
    kubeletStarts: list[str] = field(default_factory=list)  # noqa: N815
    """The command line of each boot in which kubelet did start."""
    kubeletRefusals: int = 0  # noqa: N815
    validated: bool = False
    joined: bool = False
    registered: bool = False
    dead: bool = False
    removed: bool = False
    reason: str = ""

    def plain(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Image:
    """What differs between images here."""

    kernel: str
    fault: str = ""


class Machine:
    """Runs one boot sequence at a time, in the caller's thread; `stop` ends it from another."""

    def __init__(
        self, instance: Instance, record: Record, root: Path, cloud: Cloud, changed: Callable[[], None]
    ) -> None:
        self.instance, self.record, self.root = instance, record, root
        self.stopped = threading.Event()
        self.kubelet_arguments = ""
        self._cloud, self._changed = cloud, changed
        self._reboot = threading.Event()
        self._conditions: dict[str, tuple[systemd.Condition, ...]] = {}
        self._active = False
        self._image = Image("")

    def stop(self) -> None:
        self.stopped.set()

    def boot(self, image: Image, data: UserData, *, seconds: float, urls: dict[str, str]) -> bool:
        """Power on, and again for each reboot asked for; True when a joined kubelet runs at the end."""
        self._image = image
        self._install(image)
        self.record.state = "booting"
        while self._power_on(image, data, seconds * (10 if image.fault == "slow" else 1), urls):
            if self.record.powerOns >= MAX_POWER_ONS:
                self.record.reason = f"asked for a reboot in each of {MAX_POWER_ONS} boots"
                break
        self._read_console()
        if self.stopped.is_set():  # half a boot tells nothing: it may go on when the fleet is started again
            return False
        ready = self._active and self.record.joined
        self.record.state = "joined" if ready else "refused" if self.record.reason else "failed"
        self._changed()
        return ready

    # One boot

    def _install(self, image: Image) -> None:
        """The image's files, once; an instance that was interrupted keeps its disk."""
        disk = self.root / "boot/cmdline"
        if disk.exists():
            return
        for folder in ("boot", "dev", "proc/sys/kernel", "etc/default", "etc/sysconfig", "etc/eks", "var/lib"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        memory = self.root / "sys/fs/cgroup/memory"
        memory.mkdir(parents=True)
        (memory / "memory.limit_in_bytes").write_text("9223372036854771712\n")
        shutil.copy(TOOLS / "eks-bootstrap", self.root / "etc/eks/bootstrap.sh")
        (self.root / "etc/default/grub").write_text('GRUB_CMDLINE_LINUX="console=ttyS0,115200n8 crashkernel=auto"\n')
        if image.fault == "argument-not-applied":
            (self.root / "boot/edits-are-lost").touch()
        disk.write_text(f"BOOT_IMAGE=/boot/vmlinuz-{image.kernel} root=UUID=6cd50e51 ro console=ttyS0,115200n8\n")

    def _power_on(self, image: Image, data: UserData, seconds: float, urls: dict[str, str]) -> bool:
        """One boot; True when it ended in a reboot."""
        self._reboot.clear()
        self._active = False
        self.record.cmdline = (self.root / "boot/cmdline").read_text().strip()
        self.record.kernel = image.kernel
        self.record.powerOns += 1
        self.record.boots.append(self.record.cmdline)
        (self.root / "proc/cmdline").write_text(self.record.cmdline + "\n")
        (self.root / "proc/sys/kernel/osrelease").write_text(image.kernel + "\n")
        shutil.rmtree(self.root / "run", ignore_errors=True)
        (self.root / "run").mkdir()
        (self.root / "run/dmesg").write_text(f"[    0.000000] Command line: {self.record.cmdline}\n")
        self._load_units()
        self._changed()
        if self.stopped.wait(seconds):
            return False
        for hook in data.boothooks:
            self._run(hook, urls)
            if self._over():
                return self._reboot.is_set()
        done = self.root / "var/lib/cloud-scripts-done"
        if not done.exists():
            for script in data.scripts:
                self._run(script, urls)
                if self._over():
                    return self._reboot.is_set()
            done.touch()
        self._start_enabled()
        if data.node_configs and not self._active:
            self._nodeadm()
        return False

    def _start_enabled(self) -> None:
        """What multi-user.target pulls in: joining has enabled kubelet, later boots start it without a script."""
        kept = self.root / JOINED
        if kept.exists() and not self._active and self._start_kubelet():
            self.kubelet_arguments = kept.read_text()
            self._mark_joined()

    def _nodeadm(self) -> None:
        """nodeadm-run.service: after cloud-init, with what the node's folder adds to the user data."""
        if not self._holds(NODEADM):
            return
        flags: list[str] = []
        for file in sorted((self.root / "etc/eks/nodeadm.d").glob("*.yaml")):
            flags += yaml.safe_load(file.read_text()).get("spec", {}).get("kubelet", {}).get("flags", [])
        self._join(" ".join(flags))

    def _over(self) -> bool:
        return self.stopped.is_set() or self._reboot.is_set()

    def _run(self, part: Part, urls: dict[str, str]) -> None:
        """Run a script until it ends, the machine goes down, or it takes longer than any script should."""
        file = self.root / "var/lib" / f"script-{part.name}"
        file.write_text(part.text)
        environment = {
            "PATH": f"{TOOLS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.root),
            "LC_ALL": "C",
            "INSTANCE_ID": self.instance.id,
            "NODEPOOLS_ROOT": str(self.root),
            **urls,
        }
        deadline = time.monotonic() + SCRIPT_SECONDS
        with (self.root / "var/lib/output").open("a") as output:
            process = subprocess.Popen(
                [*_interpreter(part.text), str(file)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            while process.poll() is None:
                if self._over() or time.monotonic() > deadline:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    return
                try:
                    process.wait(0.05)
                except subprocess.TimeoutExpired:
                    continue

    def _read_console(self) -> None:
        console = self.root / "dev/console"
        lines = console.read_text().splitlines() if console.exists() else []
        reasons = [line.removeprefix(_REASON) for line in lines if line.startswith(_REASON)]
        self.record.reason = reasons[-1] if reasons else self.record.reason

    # What the scripts ask for, from the metadata service's threads

    def command(self, tool: str, words: Sequence[str]) -> tuple[int, str]:
        """The exit status and output of a tool that an instance runs."""
        match tool, list(words):
            case "systemctl", arguments:
                return self._systemctl([one for one in arguments if not one.startswith("--")])
            case "kubeadm", ["join", _server, *options]:
                return self._kubeadm(options)
            case "eks-bootstrap", [_cluster, *options]:
                return self._eks(options)
        return 127, f"the sandbox's instances do not know {tool} {' '.join(words)[:80]}"

    def call_aws(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str, bytes]:
        """A signed request of the instance; status, content type and text of the answer."""
        return self._cloud.forward(headers, body)

    def _systemctl(self, words: Sequence[str]) -> tuple[int, str]:
        words = [f"{one}.service" if one == "kubelet" else one for one in words]
        match words:
            case ["daemon-reload"]:
                self._load_units()
            case ["reboot"]:
                self._reboot.set()
            case ["start" | "restart", "kubelet.service"]:
                self._start_kubelet()  # a condition that does not hold is no error to systemd
            case ["stop", "kubelet.service"]:
                self._active = False
            case ["stop", unit] if unit in UNITS:
                pass
            case ["enable" | "disable", "kubelet.service"]:
                pass
            case ["is-active", "kubelet.service"]:
                return (0, "active") if self._active else (3, "inactive")
            case _:
                return 1, f"the sandbox's systemctl does not know {' '.join(words)}"
        return 0, ""

    def _kubeadm(self, options: Sequence[str]) -> tuple[int, str]:
        pairs = dict(zip(options[::2], options[1::2], strict=False))
        for needed in ("--token", "--discovery-token-ca-cert-hash"):
            if not pairs.get(needed):
                return 2, f"kubeadm: {needed} is missing"
        file = self.root / "etc/sysconfig/kubelet"
        lines = file.read_text().splitlines() if file.exists() else []
        arguments = [line.partition("=")[2] for line in lines if line.startswith("KUBELET_EXTRA_ARGS=")]
        return self._join(arguments[-1] if arguments else "")

    def _eks(self, options: Sequence[str]) -> tuple[int, str]:
        pairs = dict(zip(options[::2], options[1::2], strict=False))
        return self._join(pairs.get("--kubelet-extra-args", ""))

    def _join(self, kubelet_arguments: str) -> tuple[int, str]:
        """Start kubelet with the cluster's credentials and see it come up."""
        self.kubelet_arguments = kubelet_arguments
        if self._image.fault == "abandon" or not self._start_kubelet():
            return 1, "timed out waiting for the kubelet to perform the TLS bootstrap"
        (self.root / JOINED).write_text(kubelet_arguments)
        self._mark_joined()
        return 0, "This node has joined the cluster"

    def _mark_joined(self) -> None:
        self.record.joined = True
        self.record.validated = f"{names.VALIDATED_LABEL}=" in self.kubelet_arguments
        self._changed()

    def _load_units(self) -> None:
        self._conditions = {unit: systemd.read_conditions(self.root, unit) for unit in UNITS}

    def _holds(self, unit: str) -> bool:
        return all(one.holds(self.root, self.record.cmdline) for one in self._conditions.get(unit, ()))

    def _start_kubelet(self) -> bool:
        self._active = self._holds(KUBELET)
        if self._active:
            self.record.kubeletStarts.append(self.record.cmdline)
        else:
            self.record.kubeletRefusals += 1
        return self._active


def _interpreter(text: str) -> list[str]:
    """The words of a script's first line. The kernel would refuse to execute the file itself ("text file busy") while a
    child that another thread is just starting still holds it open for writing."""
    first = text.partition("\n")[0]
    if not first.startswith("#!"):
        raise ValueError(f"a script begins with #! and its interpreter, not with {first[:40]!r}")
    return first.removeprefix("#!").split()
