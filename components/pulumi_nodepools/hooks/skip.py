"""The way past a drain when a whole cluster goes: exact names in an environment variable, said aloud."""

import os
from collections.abc import Mapping
from typing import Any

from pulumi_nodepools.hooks.progress import Engine
from pulumi_nodepools.names import DRAIN_SKIP_VARIABLE

DRAIN = "not drained; its nodes and the pods on them are deleted as they are"
RECORD = "its record in the cluster is left as it is"


def skipped(props: Mapping[str, Any], instead: str = DRAIN) -> bool:
    """Whether `<cluster>/<pool>/<version>` of these properties is listed in the variable; logged if so.

    Exact names only: a variable forgotten in CI must not disable the next drain.
    """
    parts = [str(props.get(key) or "") for key in ("cluster", "pool")]
    name = "/".join((*parts, str(props.get("version") or props.get("active") or "")))
    listed = {entry.strip() for entry in os.environ.get(DRAIN_SKIP_VARIABLE, "").split(",")}
    if name not in listed or not all(name.split("/")):
        return False
    Engine.of_this_process().warn(
        str(props.get("urn") or ""),
        f"{name}: {DRAIN_SKIP_VARIABLE} names it: {instead}",
    )
    return True


def way_past(cluster: str, owner: str) -> str:
    """For the error of a drain that has nowhere to go: what to set when that is meant."""
    return f"; if the whole cluster goes, set {DRAIN_SKIP_VARIABLE}={cluster}/{owner}"
