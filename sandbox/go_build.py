"""Build one Go program of the sandbox's tool modules: visible progress, no half-written result, clear failures.

What is built, and whether it has to be, is decided by `sandbox.binaries`.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.processes import SandboxError

TOOLS = Path(__file__).parent / "tools"
# From this version on, an older Go fetches the one that go.mod asks for by itself.
SELF_UPDATING_GO = (1, 21)
INSTALL_GO = "install Go from https://go.dev/dl/ (one archive, no root needed: unpack it and put go/bin on PATH)"


@dataclass(frozen=True)
class Program:
    """One executable: its package, in which module under `sandbox/tools`, and how it is linked."""

    name: str
    module: str
    package: str
    link: str = ""
    tags: str = ""
    minutes: float = 1.0  # on two cores with empty caches; only said to whoever waits


def parse_version(text: str) -> tuple[int, ...]:
    """The first dotted number in the output of `go version`, `pulumi version`, …; () when there is none."""
    found = re.search(r"(?<![\d.])v?(?:go)?(\d+(?:\.\d+)+)", text)
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def wanted_go(module: str) -> tuple[int, ...]:
    line = next(line for line in (TOOLS / module / "go.mod").read_text().splitlines() if line.startswith("go "))
    return parse_version(line)


def check_go(module: str, environ: Mapping[str, str]) -> str:
    """The `go` to build with, or an error that says how to get one."""
    wanted = wanted_go(module)
    needed = ".".join(map(str, wanted))
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        raise SandboxError(
            f"Go {needed} or newer is needed to build the sandbox's tools, and no `go` is on PATH; {INSTALL_GO}"
        )
    text = _output([go, "version"], environ)
    found = parse_version(text)
    if found >= wanted:
        return go
    local = _output([go, "env", "GOTOOLCHAIN"], environ) == "local"
    if found < SELF_UPDATING_GO or local:
        reason = ", and GOTOOLCHAIN=local forbids it to fetch a newer one" if local else ""
        raise SandboxError(f"Go {needed} or newer is needed, but {go} is `{text}`{reason}; {INSTALL_GO}")
    return go


def module_folder(module: str, dependency: str, environ: Mapping[str, str]) -> Path:
    """Where Go keeps the sources of a dependency."""
    go = check_go(module, environ)
    command = [go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", dependency]
    folder = _output(command, _go_environment(environ), cwd=TOOLS / module)
    if not folder:
        raise SandboxError(
            f"Go's module cache lacks {dependency}; run `go mod download {dependency}` in {TOOLS / module}"
        )
    return Path(folder)


def build(program: Program, target: Path, *, step: str, environ: Mapping[str, str]) -> None:
    """Build to a temporary name beside `target` and rename: whoever finds the file finds it whole."""
    go = check_go(program.module, environ)
    for stale in target.parent.glob(f".{target.name}.*"):  # of a builder that was killed; the caller holds the lock
        stale.unlink()
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    command = [go, "build", "-mod=readonly", "-trimpath", "-ldflags", f"-s -w {program.link}".strip()]
    command += ["-tags", program.tags] if program.tags else []
    command += ["-o", str(temporary), program.package]
    log = target.with_name(f"{target.name}.build.log")
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=TOOLS / program.module, env=_go_environment(environ), stdout=output, stderr=output
            )
            try:
                code = _watch(process, f"{step} building {program.name}", program.minutes)
            except BaseException:
                process.terminate()
                process.wait()
                raise
        if code != 0:
            tail = "\n".join("  " + line for line in log.read_text(errors="replace").splitlines()[-15:])
            raise SandboxError(f"`{' '.join(command)}` in {TOOLS / program.module} failed:\n{tail}")
        temporary.replace(target)
        log.unlink()
    finally:
        temporary.unlink(missing_ok=True)


def _watch(process: "subprocess.Popen[bytes]", title: str, minutes: float) -> int:
    """On a terminal one line that counts; elsewhere (CI logs) a line every half minute."""
    terminal = sys.stderr.isatty()
    begun = said = time.monotonic()
    usual = f"about {minutes:g} min on 2 cores the first time"
    print(f"{title} ({usual})", end="" if terminal else "\n", file=sys.stderr, flush=True)
    while True:
        try:
            code = process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            elapsed = time.monotonic() - begun
            if terminal:
                print(f"\r{title} ({usual}): {elapsed:.0f} s ", end="", file=sys.stderr, flush=True)
            elif time.monotonic() - said >= 30:
                said = time.monotonic()
                print(f"{title}: {elapsed:.0f} s so far", file=sys.stderr, flush=True)
            continue
        elapsed = time.monotonic() - begun
        word = "done" if code == 0 else "FAILED"
        print(
            f"{chr(13) if terminal else ''}{title}: {word} after {elapsed:.0f} s".ljust(78), file=sys.stderr, flush=True
        )
        return code


def _go_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The user's, without what could change the result: flags, a workspace, a C compiler that may not be there."""
    return {**environ, "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"}


def _output(command: list[str], environ: Mapping[str, str], cwd: Path | None = None) -> str:
    result = subprocess.run(
        command, env=dict(environ), cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )
    if result.returncode != 0:
        raise SandboxError(f"`{' '.join(command)}` failed with {result.returncode}: {result.stderr.strip()[-600:]}")
    return result.stdout.strip()
