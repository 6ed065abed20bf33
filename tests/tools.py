"""Programs that tests ask for their opinion. Where CI is set, a missing one is a failure, no reason to skip."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_FOLDERS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def tool(name: str) -> str:
    """The path of an installed program."""
    found = shutil.which(name, path=_FOLDERS)
    if found:
        return found
    message = f"{name} is not installed; `make test-tools` (Debian, as root) installs what the tests ask"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def ask(name: str, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, without anything of the caller's environment but PATH and HOME."""
    return subprocess.run(
        [tool(name), *words],
        env={"PATH": _FOLDERS, "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
