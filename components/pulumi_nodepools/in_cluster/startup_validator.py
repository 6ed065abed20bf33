"""Proves a node's kernel from inside the cluster, and only then takes its startup taint away.

For families whose nodes cannot answer a launch hook. Runs in a pod on each node; a container sees the kernel and the
command line of its node without any privilege. Which versions must show what is a file, mounted from a ConfigMap.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from pulumi_nodepools import kernels, names
from pulumi_nodepools.in_cluster.api import ACCOUNT, Api, Unanswered

WAITING_SECONDS = 5.0
DONE_SECONDS = 60.0
_CONFLICT = 409


def refusal(requirements: dict[str, Any], labels: dict[str, str], command_line: str, release: str) -> str:
    """Why this node has not proved what its version requires; empty when it has."""
    value = names.validated_value(labels.get(names.POOL_LABEL, ""), labels.get(names.VERSION_LABEL, ""))
    required = requirements.get(value)
    if required is None:
        return f"nothing is known of {value}: it is not among {', '.join(sorted(requirements)) or 'none'}"
    missing = [one for one in required["kernelArguments"] if not kernels.booted_with(command_line, one)]
    if missing:
        return f"kernel argument {missing[0]} is not in /proc/cmdline"
    floor = required.get("minimumKernel") or ""
    if floor and not kernels.at_least(release, floor):
        return f"kernel {release} is older than {floor}"
    return ""


def change(node: dict[str, Any], why: str) -> dict[str, Any] | None:
    """The merge patch that a proved or refused node needs; None when it says so already."""
    meta, taints = node["metadata"], node["spec"].get("taints") or []
    told = (meta.get("annotations") or {}).get(names.REFUSED_TAG)
    if why:
        return None if told == why else _patch(meta, {"annotations": {names.REFUSED_TAG: why}})
    kept = [taint for taint in taints if taint["key"] != names.STARTUP_TAINT]
    if len(kept) == len(taints):
        return None
    labels = meta.get("labels") or {}
    proof = names.validated_value(labels[names.POOL_LABEL], labels[names.VERSION_LABEL])
    patch = _patch(meta, {"labels": {names.VALIDATED_LABEL: proof}, "annotations": {names.REFUSED_TAG: None}})
    return {**patch, "spec": {"taints": kept}}


def _patch(meta: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    # A list of taints is replaced whole: the version keeps it from undoing what others have just added.
    return {"metadata": {**wanted, "resourceVersion": meta["resourceVersion"]}}


def look(api: Api, path: str, requirements: Path, proc: Path) -> float:
    """Judge the node at `path` once; how many seconds until it is worth another look."""
    node = api.get(path)
    command_line = (proc / "cmdline").read_text()
    release = (proc / "sys/kernel/osrelease").read_text().strip()
    why = refusal(json.loads(requirements.read_text()), node["metadata"].get("labels") or {}, command_line, release)
    patch = change(node, why)
    if patch is None:
        return WAITING_SECONDS if why else DONE_SECONDS
    try:
        api.patch(path, patch)
    except Unanswered as error:
        if error.status != _CONFLICT:  # somebody changed the node meanwhile
            raise
    else:
        print(f"refused: {why}" if why else "proved: the startup taint is gone", flush=True)  # noqa: T201
    return WAITING_SECONDS


def main() -> None:
    """Until it is ended; an API server that does not answer is asked again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requirements", type=Path, required=True)
    parser.add_argument("--account", type=Path, default=ACCOUNT)
    parser.add_argument("--proc", type=Path, default=Path("/proc"))
    options = parser.parse_args()
    api, path = Api(options.account), f"/api/v1/nodes/{os.environ['NODE_NAME']}"
    while True:
        try:
            pause = look(api, path, options.requirements, options.proc)
        except (Unanswered, OSError, ValueError, KeyError) as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
            pause = WAITING_SECONDS
        time.sleep(pause)


if __name__ == "__main__":
    main()
