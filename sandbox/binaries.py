"""Find or build what the sandbox runs: the Pulumi engine, its Python language host, and a Kubernetes control plane.

What the user has comes first: `pulumi` on PATH if new enough (with its own language host), etcd and kube-apiserver
from KUBEBUILDER_ASSETS. The rest is built once from pinned Go modules into the user's cache folder, under a key made
of those pins; what is there is never built again.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.go_build import TOOLS, Program, build, module_folder, parse_version
from sandbox.processes import SandboxError

ENGINE = "3.259.0"
KUBERNETES = "v1.37.2"
# Policy packs are started through the language host from this version on.
OLDEST_PULUMI = (3, 221)
SDK = "github.com/pulumi/pulumi/sdk/v3"
LANGUAGE_HOST = "pulumi-language-python"
# Part of the SDK's module, and needed beside the language host.
SCRIPTS = {"pulumi-language-python-exec": "python/cmd", "pulumi-resource-pulumi-python": "python/dist"}
GIGABYTE = 1 << 30
NEEDED_DISK = 8 * GIGABYTE

_PULUMI = {"module": "pulumi", "tags": "grpcnotrace,osusergo", "link": f"-X {SDK}/go/common/version.Version={ENGINE}"}
_STAMP = "k8s.io/component-base/version"
_KUBERNETES = {
    "module": "kubernetes",
    "link": f"-X {_STAMP}.gitVersion={KUBERNETES} -X {_STAMP}.gitMajor=1 -X {_STAMP}.gitMinor=37",
}
# kubectl comes last: only people need it.
PROGRAMS = (
    Program("pulumi", package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", minutes=5, **_PULUMI),
    Program(LANGUAGE_HOST, package="./language-host", minutes=0.5, **_PULUMI),
    Program("etcd", module="kubernetes", package="go.etcd.io/etcd/server/v3", minutes=0.5),
    Program("kube-apiserver", package="k8s.io/kubernetes/cmd/kube-apiserver", minutes=5.5, **_KUBERNETES),
    Program(
        "kube-controller-manager", package="k8s.io/kubernetes/cmd/kube-controller-manager", minutes=2, **_KUBERNETES
    ),
    Program("kube-scheduler", package="k8s.io/kubernetes/cmd/kube-scheduler", minutes=0.5, **_KUBERNETES),
    Program("kwok", module="kubernetes", package="sigs.k8s.io/kwok/cmd/kwok", minutes=0.5),
    Program("kubectl", package="k8s.io/kubernetes/cmd/kubectl", minutes=0.5, **_KUBERNETES),
)


@dataclass(frozen=True)
class Tools:
    """Every executable by name, and the folders to put on PATH, first one first."""

    paths: Mapping[str, Path]
    path_entries: tuple[Path, ...]


def cache_key() -> str:
    """Changes when a pinned version changes. Sources of ours are stamped one by one instead (see `_stamp`)."""
    digest = hashlib.sha256()
    for name in ("pulumi", "kubernetes"):
        for pins in ("go.mod", "go.sum"):
            digest.update((TOOLS / name / pins).read_bytes())
    return digest.hexdigest()[:16]


def cache_folder(environ: Mapping[str, str]) -> Path:
    home = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "pulumi-nodepools" / cache_key() / "bin"


def locate(environ: Mapping[str, str] = os.environ) -> Tools:
    """What is there already; an error names what is not and how to get it."""
    given, folder = _given(environ), cache_folder(environ)
    missing = [program.name for program in PROGRAMS if program.name not in given and not _built(program, folder)]
    if missing:
        raise SandboxError(
            f"not built yet: {', '.join(missing)}; run `make binaries` (once, about 15 minutes on 2 cores)"
        )
    paths = {program.name: given.get(program.name, folder / program.name) for program in PROGRAMS}
    # The user's pulumi must win over one that was built before it was installed.
    entries = dict.fromkeys([paths["pulumi"].parent, folder])
    return Tools(paths, tuple(entries))


def ensure(environ: Mapping[str, str] = os.environ) -> Tools:
    """Build what is missing, with progress on stderr; safe to call from two processes at once."""
    given, folder = _given(environ), cache_folder(environ)
    wanted = [program for program in PROGRAMS if program.name not in given]
    if not all(_built(program, folder) for program in wanted):
        folder.mkdir(parents=True, exist_ok=True)
        with _only_builder(folder.parent / "lock"):
            # Asked again: somebody else may have built while we waited.
            todo = [program for program in wanted if not _built(program, folder)]
            _check_disk(folder, len(todo))
            for number, program in enumerate(todo, 1):
                build(program, folder / program.name, step=f"[{number}/{len(todo)}]", environ=environ)
                if program.name == LANGUAGE_HOST:
                    _finish_language_host(folder, environ)
    return locate(environ)


def missing_tools(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Small programs that the machine must bring itself, each with the way to get it."""
    advice = {
        "curl": "instances of the sandbox fetch their metadata with it (on Debian: apt install curl)",
        "sh": "boot scripts and plugins are shell scripts",
        "make": "the project's targets are in a Makefile (on Debian: apt install make)",
    }
    lacking = [f"{name}: {why}" for name, why in advice.items() if shutil.which(name, path=environ.get("PATH")) is None]
    if not Path("/proc/self/stat").exists():
        lacking.append("Linux: the sandbox recognises its processes by /proc (a virtual machine will do)")
    return lacking


def _given(environ: Mapping[str, str]) -> dict[str, Path]:
    """What the user's machine brings. The engine only together with a language host of the same installation."""
    found = {}
    assets = environ.get("KUBEBUILDER_ASSETS")
    for name in ("etcd", "kube-apiserver") if assets else ():
        path = Path(str(assets)) / name
        if not os.access(path, os.X_OK):
            raise SandboxError(
                f"KUBEBUILDER_ASSETS is {assets}, but there is no executable {name} in it; unset it or fix it"
            )
        found[name] = path
    pulumi = _user_pulumi(environ)
    if pulumi is not None:
        found["pulumi"] = pulumi
        host = pulumi.resolve().parent / LANGUAGE_HOST
        if host.exists():
            found[LANGUAGE_HOST] = host
    return found


def _user_pulumi(environ: Mapping[str, str]) -> Path | None:
    path = shutil.which("pulumi", path=environ.get("PATH"))
    if path is None or Path(path).parent == cache_folder(environ):
        return None
    asked = {**environ, "PULUMI_SKIP_UPDATE_CHECK": "1"}
    try:
        answer = subprocess.run([path, "version"], env=asked, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as failure:
        print(f"{path} is passed over: it does not answer `pulumi version` ({failure})", file=sys.stderr)
        return None
    version = parse_version(answer.stdout)
    if version < OLDEST_PULUMI:
        oldest = ".".join(map(str, OLDEST_PULUMI))
        print(
            f"{path} is passed over: {answer.stdout.strip() or 'no version'}, {oldest} or newer is needed",
            file=sys.stderr,
        )
        return None
    return Path(path)


def _built(program: Program, folder: Path) -> bool:
    if not (folder / program.name).exists():
        return False
    if program.name != LANGUAGE_HOST:
        return True
    stamp = folder / f"{LANGUAGE_HOST}.source"
    return stamp.exists() and stamp.read_text() == _stamp() and all((folder / script).exists() for script in SCRIPTS)


def _stamp() -> str:
    return hashlib.sha256((TOOLS / "pulumi" / "language-host" / "main.go").read_bytes()).hexdigest()


def _finish_language_host(folder: Path, environ: Mapping[str, str]) -> None:
    sdk = module_folder("pulumi", SDK, environ)
    for script, where in SCRIPTS.items():
        temporary = folder / f".{script}.{os.getpid()}"
        shutil.copyfile(sdk / where / script, temporary)
        temporary.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
        temporary.replace(folder / script)
    (folder / f"{LANGUAGE_HOST}.source").write_text(_stamp())


def _check_disk(folder: Path, programs: int) -> None:
    free = shutil.disk_usage(folder).free
    if programs > 2 and free < NEEDED_DISK:
        raise SandboxError(
            f"{folder} has {free / GIGABYTE:.1f} GiB free; building {programs} programs takes about "
            f"{NEEDED_DISK / GIGABYTE:.0f} GiB with Go's caches. Free some, or set XDG_CACHE_HOME and GOCACHE elsewhere"
        )


@contextmanager
def _only_builder(path: Path) -> Iterator[None]:
    with path.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another build (lock {path})", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main() -> int:
    begun = time.monotonic()
    # A CI job that is cancelled gets SIGTERM: the compiler must end with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lacking = missing_tools()
    if lacking:
        print("missing on this machine:\n  " + "\n  ".join(lacking), file=sys.stderr)
        return 1
    try:
        tools = ensure()
    except SandboxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; what was built stays, and the next run goes on from there", file=sys.stderr)
        return 130
    for name, path in tools.paths.items():
        print(f"{name:<24} {path}")
    print(f"ready after {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
