"""Behind a budget that refuses stands a pod that cannot start: the drain names both, and the scheduler's own words."""

import threading

import pytest

from pulumi_nodepools.errors import DrainBlockedError
from tests.apiserver.drain_case import on

pytestmark = pytest.mark.apiserver


def test_a_budget_is_followed_to_the_pod_that_finds_no_node(cluster):
    cluster.nodes("chain-old", 2)
    space = cluster.namespace()
    cluster.deployment(space, "web", 3, **on("chain-old"))
    cluster.budget(space, "web", minAvailable=2)
    cluster.wait_ready(space, 3)
    cluster.wait(lambda: cluster.allowed(space, "web") == 1)
    needs = f"budget {space}/web needs 2 healthy and has 2"
    stop = threading.Event()

    def listen(progress):
        # Told while it is stuck: the drain would wait for another minute.
        if sum(needs in one.chain for one in progress.blocked) == 2:
            stop.set()

    with pytest.raises(DrainBlockedError, match="told to stop") as caught:
        cluster.drain("chain-old", stop=stop, listen=listen)
    entries = [one for one in caught.value.report.diagnosis if one.reason == "replacement-unschedulable"]
    assert len(entries) == 2, "one entry for each pod that is left"
    budget, sibling, cause = entries[0].chain
    assert budget == needs
    assert sibling.startswith(f"pod {space}/web-")
    assert sibling.endswith("has no node")
    assert "nodes are available" in cause
    assert entries[0].to_json()["chain"] == [budget, sibling, cause]
