"""The production stack's YAML with changes, and what is said of them."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pulumi_nodepools.config import parse
from pulumi_nodepools.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
POOL = ("pools", "worker")
VERSION = (*POOL, "versions", "7.6.1810")
ABSENT = object()


def prod() -> dict[str, Any]:
    config = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]
    return {"cluster": config["nodepools:cluster"], "pools": config["nodepools:pools"]}


def edited(*changes: tuple[tuple[Any, ...], Any]) -> dict[str, Any]:
    """The production stack with values set (or removed) at paths."""
    raw = copy.deepcopy(prod())
    for path, value in changes:
        target = raw
        for key in path[:-1]:
            target = target[key]
        if value is ABSENT:
            del target[path[-1]]
        else:
            target[path[-1]] = value
    return raw


def problems(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(raw)
    first, *lines = str(caught.value).splitlines()
    assert first == "the stack's configuration cannot be used, nothing was changed:"
    return [line.removeprefix("  ") for line in lines]
