"""A webhook whose only pods are to move: when it is a finding, and how bad it is."""

import pytest

from pulumi_nodepools.drain.model import (
    BudgetView,
    ControllerView,
    DeploymentView,
    NodeView,
    Owner,
    PodView,
    WebhookView,
    WorldView,
)
from pulumi_nodepools.drain.preflight import check
from pulumi_nodepools.drain.settings import DrainSettings

CONTROLLER = ControllerView(
    kind="ReplicaSet", namespace="policy", name="guard-1", uid="rs", desired=1, made_by="Deployment guard", maker="d"
)
DEPLOYMENT = DeploymentView(namespace="policy", name="guard", uid="d", adds_first=True)
BUDGET = BudgetView(
    namespace="policy", name="guard", uid="b", match_labels={"app": "guard"}, allowed=1, min_available="1", healthy=2
)


def pod(name="a", node="old", *, kind="ReplicaSet", **fields):
    owner = Owner(kind, "apps/v1", "guard-1", "rs")
    base = {"namespace": "policy", "name": name, "uid": name, "node": node, "labels": {"app": "guard"}, "owner": owner}
    return PodView(**base | fields)


def found(*pods, own_pods=True, budgets=(), **settings):
    webhook = WebhookView(
        name="guard.example.com", namespace="policy", service="guard", selector={"app": "guard"}, own_pods=own_pods
    )
    nodes = [NodeView(name="old", labels={"pool": "old"}), NodeView(name="new")]
    view = WorldView(nodes, pods, budgets, [CONTROLLER], (), (), [DEPLOYMENT], [webhook])
    findings = check(view, lambda node: node.labels.get("pool") == "old", DrainSettings(**settings), 1e6, ())
    return [one for one in findings if one.reason == "webhook-backends"]


@pytest.mark.parametrize(("own_pods", "severity"), [(True, "blocker"), (False, "warning")])
def test_a_webhook_with_its_only_pod_on_these_nodes_is_told_with_its_fix(own_pods, severity):
    (one,) = found(pod(), pod("b", "old", ready=False), own_pods=own_pods)
    assert (one.severity, one.object, one.numbers) == (severity, "webhook guard.example.com", {"backends": 1})
    assert "policy/a behind service policy/guard" in one.message
    assert ("its own next one for ever" in one.message) is own_pods
    assert "run two replicas" in one.fix


def test_it_can_be_written_off():
    (one,) = found(pod(), acknowledge=("webhook-backends/guard.example.com",))
    assert one.acknowledged


@pytest.mark.parametrize(
    ("pods", "more"),
    [
        ([pod(), pod("b", "new")], {}),
        ([], {}),
        ([pod(labels={"app": "other"})], {}),
        ([pod(namespace="other")], {}),
        ([pod(), pod("b")], {}),  # paced: one after the other
        ([pod(), pod("b")], {"budgets": [BUDGET], "unbudgeted": "all"}),
        ([pod(kind="DaemonSet")], {}),
        ([pod()], {"single_replicas": "surge"}),
    ],
)
def test_a_webhook_that_always_has_somebody_to_answer_is_not_told(pods, more):
    assert found(*pods, **more) == []


def test_two_pods_that_go_at_once_are_as_bad_as_one():
    (one,) = found(pod(), pod("b"), unbudgeted="all")
    assert one.numbers == {"backends": 2}
