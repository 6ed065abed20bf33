"""What the cluster shows of a version that is to be drained: the pods that move, and what the preflight finds."""

import time

from pulumi_nodepools.cluster import preflight
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.drain.classify import classify
from pulumi_nodepools.drain.model import NodeView
from pulumi_nodepools.drain.preflight import standing
from pulumi_nodepools.errors import IdentityError
from pulumi_nodepools.names import POOL_LABEL, VERSION_LABEL
from pulumi_nodepools.roll_plan import Look, Question

INTERRUPTS = "single-replica"
READER_LACKS = "rbac"
"""Whoever looks at a plan need not have the rights of a drain."""


def look(client: Client, question: Question) -> Look:
    """Only reads. IdentityError if this is not the cluster that the version's hook was made for."""
    if question.cluster_uid and question.cluster_uid != client.cluster_uid:
        raise IdentityError(
            f"the cluster that is reached from here is not the one of pool {question.pool}; check KUBECONFIG"
        )

    def matches(node: NodeView) -> bool:
        return (node.labels.get(POOL_LABEL), node.labels.get(VERSION_LABEL)) == (question.pool, question.version)

    view, findings = preflight.run(client, matches, question.settings, [question.pool])
    nodes = {node.name for node in view.nodes if matches(node)}
    verdicts = [classify(pod, question.settings, time.time()) for pod in view.pods if pod.node in nodes]
    found = [one for one in findings if one.reason != READER_LACKS]
    stops = standing(found)
    return Look(
        pods=sum(verdict.action == "evict" for verdict in verdicts),
        interruptions=sorted(one.thing for one in found if one.reason == INTERRUPTS),
        blockers=[one.diagnosis() for one in stops],
        notes=[one.diagnosis() for one in found if one not in stops and one.reason != INTERRUPTS],
    )
