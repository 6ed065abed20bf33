"""The Debian disk that machines boot from, built once and kept in the user's cache under a hash of its recipe."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

RECIPE = Path(__file__).parent / "image"
BUILD_SECONDS = 900
_FILES = ("disk.raw", "vmlinuz", "initrd")


@dataclass(frozen=True)
class Image:
    disk: Path
    kernel: Path
    initrd: Path


def find_or_build() -> Image:
    """The image; building takes about a minute and root. What an earlier run kept is used for ever: Debian's
    packages move on, but the recipe is what is tested here."""
    folder = _cache() / f"boot-{_digest()}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "disk.raw").exists():  # moved there last
            for left in folder.glob("build.*/"):  # by a build that was killed
                shutil.rmtree(left)
            with (folder / "build.log").open("w") as log:
                done = subprocess.run(
                    [RECIPE / "build.sh", folder], stdout=log, stderr=log, check=False, timeout=BUILD_SECONDS
                )
            if done.returncode:
                lines = (folder / "build.log").read_text().splitlines()[-15:]
                raise RuntimeError("\n".join([f"no image for the boot test, see {folder / 'build.log'}:", *lines]))
    return Image(*(folder / name for name in _FILES))


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pulumi-nodepools"


def _digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in RECIPE.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(RECIPE)}\0{file.stat().st_mode & 0o111}\0".encode())
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
