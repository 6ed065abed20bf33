"""A command never drains the node that it runs on."""

import pytest

from pulumi_nodepools.cluster.runner import Runner, own_runner, refuse_own, this_runner
from pulumi_nodepools.drain.model import PodView, WorldView
from pulumi_nodepools.errors import DrainBlockedError

SEEN = WorldView([], [PodView(namespace="ci", name="runner-1", uid="u", node="old-1")])


@pytest.mark.parametrize(
    ("runner", "node"),
    [
        (Runner("ci", "runner-1"), "old-1"),
        (Runner("ci", "runner-1", "old-2"), "old-1"),  # what the cluster says comes first
        (Runner(node="old-2"), "old-2"),
        (Runner("other", "runner-1"), None),
        (Runner("ci", "runner-1", ""), "old-1"),
        (Runner(node="built-in"), None),
        (Runner(), None),
    ],
)
def test_found_by_pod_or_by_node(runner, node):
    found = own_runner(SEEN, frozenset({"old-1", "old-2"}), runner)
    assert (found.node if found else None) == node
    if found:
        assert (found.severity, found.reason) == ("never", "own-runner")
        with pytest.raises(DrainBlockedError, match=f"runs on node {node}") as caught:
            refuse_own(SEEN, frozenset({node}), runner)
        assert caught.value.diagnosis[0].reason == "own-runner"


def test_on_a_node_that_stays_it_is_free_to_go_on():
    refuse_own(SEEN, frozenset({"old-3"}), Runner("ci", "runner-1"))


def test_a_pod_knows_itself_from_its_service_account_and_host_name(tmp_path, monkeypatch):
    file = tmp_path / "namespace"
    file.write_text("ci\n")
    monkeypatch.setattr("socket.gethostname", lambda: "runner-1")
    assert this_runner({}, file) == Runner("ci", "runner-1", "")
    told = {"POD_NAMESPACE": "a", "POD_NAME": "b", "NODE_NAME": "c"}
    assert this_runner(told, file) == Runner("a", "b", "c")
    # Outside of a cluster a host name says nothing about pods.
    assert this_runner({}, tmp_path / "none") == Runner()
