"""`python -m sandbox up|down|status`: a sandbox to play with. Exports go to stdout, everything else to stderr."""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sandbox import binaries
from sandbox.processes import SandboxError
from sandbox.signals import catch_terminate
from sandbox.stack import FOREIGN, ROOT_VARIABLE, Sandbox


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status"))
    parser.add_argument("--root", type=Path, help=f"folder of the sandbox (default: ${ROOT_VARIABLE}, else .sandbox)")
    arguments = parser.parse_args(argv)
    commands = {"up": _up, "down": _down, "status": _status}
    catch_terminate()
    try:
        return commands[arguments.command](arguments.root)
    except SandboxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; what had been started was ended again", file=sys.stderr)
        return 130


def _up(root: Path | None) -> int:
    lacking = binaries.missing_tools()
    if lacking:
        raise SandboxError("missing on this machine:\n  " + "\n  ".join(lacking))
    sandbox = Sandbox(root, find_tools=binaries.ensure)
    begun = time.monotonic()
    if sandbox.start():
        print(
            f"# the sandbox runs after {time.monotonic() - begun:.1f} s, empty; set this in your shell:",
            file=sys.stderr,
        )
    else:
        print(f"# the sandbox in {sandbox.root} runs already; nothing was changed", file=sys.stderr)
    exports = sandbox.exports
    # The `nodepools` command of this environment, which need not be activated.
    commands = os.pathsep.join([exports["PATH"], str(Path(sys.executable).parent)])
    for line in export_lines(exports | {"PATH": commands}, sorted(os.environ)):
        print(line)
    return 0


def export_lines(exports: dict[str, str], present: Sequence[str]) -> list[str]:
    """Shell lines that lead into the sandbox: settings of the user's own clouds away, the sandbox's in."""
    unwanted = [name for name in present if name.startswith(FOREIGN) and name not in exports]
    lines = [f"unset {' '.join(unwanted)}"] if unwanted else []
    for name, value in exports.items():
        lines.append(f"export {name}={shlex.quote(value)}" + (':"$PATH"' if name == "PATH" else ""))
    return lines


def _down(root: Path | None) -> int:
    sandbox = Sandbox(root)
    stopped = sandbox.stop()
    state = "was stopped" if stopped else "was not running"
    print(f"the sandbox in {sandbox.root} {state}", file=sys.stderr)
    return 0


def _status(root: Path | None) -> int:
    sandbox = Sandbox(root)
    parts = sandbox.status()
    for name, alive in parts.items():
        print(f"{name:<24} {'running' if alive else 'not running'}")
    if all(parts.values()):
        print(f"{'Kubernetes API':<24} {sandbox.control_plane.endpoint}")
        print(f"{'AWS API':<24} {sandbox.aws_endpoint}")
    print(f"{'logs':<24} {sandbox.root / 'logs'}")
    return 0 if all(parts.values()) else 1
