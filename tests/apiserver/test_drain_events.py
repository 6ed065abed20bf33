"""What a drain does is to be seen with kubectl: Events on nodes and on pods that stay."""

import pytest

from pulumi_nodepools.errors import DrainBlockedError
from tests.apiserver.drain_case import on

pytestmark = pytest.mark.apiserver


def _events(cluster, namespace, name):
    """As `kubectl describe` finds them: by the object of the core Event."""
    listed = cluster.client.get(f"/api/v1/namespaces/{namespace}/events", fieldSelector=f"involvedObject.name={name}")
    ours = [one for one in listed["items"] if one.get("reportingComponent") == "nodepools.dev/drain"]
    return sorted((one["type"], one["reason"], one["message"]) for one in ours)


def test_nodes_and_pods_carry_events_of_the_drain(cluster):
    (node,) = cluster.nodes("told-old", 1)
    space = cluster.namespace()
    cluster.deployment(space, "web", 2, **on("told-old", "told-new"))
    cluster.budget(space, "web", minAvailable=2)
    cluster.wait_ready(space, 2)
    cluster.wait(lambda: cluster.allowed(space, "web") == 0)
    with pytest.raises(DrainBlockedError):
        cluster.drain("told-old", node_timeout=8)
    assert _events(cluster, "default", node) == [("Normal", "DrainStarted", "cordoned by test/told-old")]
    for pod in cluster.pods(space):
        ((kind, reason, note),) = _events(cluster, space, pod["metadata"]["name"])
        assert (kind, reason) == ("Warning", "DrainBlocked")
        assert note.startswith(f"pdb-impossible: budget {space}/web can never allow it")
    cluster.request("DELETE", f"/apis/policy/v1/namespaces/{space}/poddisruptionbudgets/web")
    cluster.nodes("told-new", 1)
    cluster.drain("told-old", unbudgeted="all")
    assert ("Normal", "Drained", f"node {node} is drained") in _events(cluster, "default", node)
