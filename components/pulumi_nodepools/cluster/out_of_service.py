"""The taint by which Kubernetes learns that nothing runs on a node any more: pods go, volumes are detached.

On a running machine it would corrupt what is mounted there. Whether one runs is for the cloud to say; here a kubelet
that answers again is believed in any case. A taint that somebody else has set stays theirs.
"""

from typing import Any

from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.eviction import in_service, patched, written
from pulumi_nodepools.drain.events import Patched
from pulumi_nodepools.drain.model import NodeView, Taint
from pulumi_nodepools.names import OUT_OF_SERVICE_TAINT, RELEASED_ANNOTATION

_TAINT = Taint(key=OUT_OF_SERVICE_TAINT, effect="NoExecute", value="nodeshutdown")


def release(client: Client, node: NodeView, owner: str) -> Patched:
    """Taint a node whose machine has ended, unless it is ready again meanwhile."""

    def change(view: NodeView) -> dict[str, Any] | None:
        if view.ready or any(taint.key == OUT_OF_SERVICE_TAINT for taint in view.taints):
            return None
        taints = [written(taint) for taint in (*view.taints, _TAINT)]
        return {"metadata": {"annotations": {RELEASED_ANNOTATION: owner}}, "spec": {"taints": taints}}

    return patched(client, node, "release", change)


def restore(client: Client, node: NodeView) -> Patched:
    """Take our taint off a node that is back."""
    return patched(client, node, "restore", in_service)
