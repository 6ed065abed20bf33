"""Previews as `pulumi preview --json --show-sames` writes them, built from a few words."""

import json
from pathlib import Path
from typing import Any

from pulumi_nodepools.update_plan import BLUE_GREEN, GROUP, HOOK

START = "urn:pulumi:prod::nodes::"
OLD, NEW = "7.6.1810", "7.7.1908"
OPS_AFTER = {"create", "same", "update", "replace"}


def urn(kind: str, name: str) -> str:
    return f"{START}{BLUE_GREEN}${kind}::{name}"


def step(op: str, kind: str, name: str, **state: Any) -> dict[str, Any]:
    known = {"urn": urn(kind, name), "type": kind, **state}
    found: dict[str, Any] = {"op": op, "urn": known["urn"]}
    if op != "create":
        found["oldState"] = known
    if op in OPS_AFTER:
        found["newState"] = known
    return found


def pool(active: str = NEW, name: str = "worker", op: str = "update") -> dict[str, Any]:
    return step(op, BLUE_GREEN, name, inputs={"pool": name, "active": active})


def group(op: str, version: str, nodes: int, pool: str = "worker") -> dict[str, Any]:
    values = {"nodepools.dev/cluster": "prod", "nodepools.dev/pool": pool, "nodepools.dev/version": version}
    tags = [{"key": key, "value": value} for key, value in values.items()]
    part = "inputs" if op == "create" else "outputs"
    return step(
        op,
        GROUP,
        f"{pool}-{version}-group",
        **{"inputs": {"tags": tags}, part: {"tags": tags, "desiredCapacity": nodes}},
    )


def hook(op: str, version: str, pool: str = "worker", **state: Any) -> dict[str, Any]:
    edges = [urn(GROUP, f"{pool}-{version}-group")]
    known = {"inputs": {"pool": pool, "version": version, "drain": {"batchSize": "10%"}}, "dependencies": edges}
    return step(op, HOOK, f"{pool}-{version}-drain", **known | state)


def replacement(old: int = 14, new: int = 14) -> list[dict[str, Any]]:
    """The plain case: one version in the place of another."""
    return [pool(), group("create", NEW, new), hook("create", NEW), hook("delete", OLD), group("delete", OLD, old)]


def written(folder: Path, *steps: dict[str, Any], **document: Any) -> Path:
    path = folder / "preview.json"
    same = sum(one["op"] == "same" for one in steps)
    path.write_text(json.dumps({"steps": list(steps), "changeSummary": {"same": same}} | document))
    return path
