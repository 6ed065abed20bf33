"""The files of which the collector consists, as they are mounted into its pod. They are this package's own modules."""

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

PACKAGE = "pulumi_nodepools"
_SHARED = ("__init__.py", "errors.py", "names.py", "in_cluster/__init__.py", "in_cluster/api.py")
_FOLDERS = ("soak", "collector")
_ELSEWHERE = {
    "soak/custom.py",
    "soak/verdict.py",
    "soak/compare.py",
    "soak/kernel_rules.py",
    "collector/rights.py",
}
"""Modules that only configure or judge; one of them needs RE2."""


def collector_files() -> Mapping[str, str]:
    """Path below the import root -> text, in a stable order."""
    root = files(PACKAGE)
    paths = [*_SHARED, *(f"{folder}/{one.name}" for folder in _FOLDERS for one in _modules(root / folder))]
    return {f"{PACKAGE}/{path}": _at(root, path) for path in sorted(paths) if path not in _ELSEWHERE}


def _modules(folder: Traversable) -> list[Traversable]:
    return [one for one in folder.iterdir() if one.name.endswith(".py")]


def _at(root: Traversable, path: str) -> str:
    return root.joinpath(*path.split("/")).read_text(encoding="utf-8")
