"""Whether this process itself runs on a node that is to be drained: it would evict itself in the middle.

A pod knows its namespace from the file of its service account and its name from its host name, unless the pod sets that
to something else or uses the network of its node. `POD_NAMESPACE`, `POD_NAME` and `NODE_NAME`, filled from the downward
API, count first.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pulumi_nodepools.drain.model import WorldView
from pulumi_nodepools.drain.preflight import Finding
from pulumi_nodepools.errors import DrainBlockedError

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Runner:
    """Where we run, as far as it can be told; empty outside of a cluster."""

    namespace: str = ""
    pod: str = ""
    node: str = ""


def this_runner(environment: Mapping[str, str] = os.environ, namespace_file: Path = _NAMESPACE_FILE) -> Runner:
    """This process's own pod and node."""
    try:
        inside = namespace_file.read_text(encoding="utf-8").strip()
    except OSError:
        inside = ""
    namespace = environment.get("POD_NAMESPACE") or inside
    name = environment.get("POD_NAME") or (socket.gethostname() if inside else "")
    return Runner(namespace, name, environment.get("NODE_NAME", ""))


def own_runner(view: WorldView, names: frozenset[str], runner: Runner) -> Finding | None:
    """A finding if `runner` is on one of the nodes `names`."""
    ours = (runner.namespace, runner.pod)
    node = next((pod.node for pod in view.pods if (pod.namespace, pod.name) == ours), runner.node)
    if node not in names:
        return None
    return Finding(
        "never",
        "own-runner",
        f"pod {runner.namespace}/{runner.pod}" if runner.pod else f"node {node}",
        f"this very command runs on node {node}, which is to be drained: it would evict itself in the middle",
        "run it elsewhere: from another machine, or in a pod that a node selector keeps off these nodes",
        node=node,
    )


def refuse_own(view: WorldView, names: frozenset[str], runner: Runner) -> None:
    """DrainBlockedError if this process runs where it is about to drain."""
    found = own_runner(view, names, runner)
    if found:
        what = f"{found.object}: {found.message}. Nothing more is changed. Run it elsewhere"
        raise DrainBlockedError(what, [found.diagnosis()])
