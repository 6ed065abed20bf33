"""The files of this package that run in pods, by their path below the import root; and how a ConfigMap carries them.

They are the package's own modules. What runs them, and what else a pod is told, is left to soak_test and
startup_validator.
"""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

PACKAGE = "pulumi_nodepools"
_VALIDATOR = ("errors.py", "kernels.py", "names.py", "in_cluster/api.py", "in_cluster/startup_validator.py")
_COLLECTOR_ALSO = ("__init__.py", "errors.py", "names.py", "in_cluster/__init__.py", "in_cluster/api.py")
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
    """Path -> text of all that the soak's collector imports, in a stable order."""
    root = files(PACKAGE)
    found = (f"{folder}/{one.name}" for folder in _FOLDERS for one in _modules(root / folder))
    return _texts([*_COLLECTOR_ALSO, *found])


def validator_files() -> Mapping[str, str]:
    """The same for the startup validator."""
    return _texts(_VALIDATOR)


def config_map_data(texts: Mapping[str, str]) -> dict[str, str]:
    """The data of a ConfigMap; its keys hold no slash."""
    return {_key(path): text for path, text in texts.items()}


def config_map_items(paths: Iterable[str]) -> dict[str, str]:
    """Key -> path, for the items with which that ConfigMap is mounted."""
    return {_key(path): path for path in paths}


def _key(path: str) -> str:
    return path.replace("/", ".")


def _texts(paths: Iterable[str]) -> Mapping[str, str]:
    root = files(PACKAGE)
    return {f"{PACKAGE}/{path}": _at(root, path) for path in sorted(paths) if path not in _ELSEWHERE}


def _modules(folder: Traversable) -> list[Traversable]:
    return [one for one in folder.iterdir() if one.name.endswith(".py")]


def _at(root: Traversable, path: str) -> str:
    return root.joinpath(*path.split("/")).read_text(encoding="utf-8")
