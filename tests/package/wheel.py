"""The wheel as a package index would have it, and environments that have nothing else of this repository."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def build(folder, source):
    """Put wheel and source archive into `folder`, built offline from what git knows, copied to `source`."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "components", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, names):
        if (REPOSITORY / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((REPOSITORY / name).read_bytes())
    code = "import sys; to = sys.argv[1]; from setuptools.build_meta import *; build_sdist(to); build_wheel(to)"
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=source, check=True, capture_output=True)
    return folder


def environment(folder, built):
    """A virtual environment with the wheel; the dependencies are those of the one that runs the tests."""
    venv.create(folder, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (wheel,) = built.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    # Found after the wheel's own; its .pth files, by which this repository is installed, are not read from there.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder
