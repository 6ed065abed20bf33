"""Which webhooks refuse everything while nobody answers, and whether they judge their own pods."""

import json

import msgspec
import pytest

from pulumi_nodepools.cluster.webhooks import RawConfiguration, closing, look
from pulumi_nodepools.errors import ApiError

PODS = {"apiGroups": [""], "operations": ["CREATE"], "resources": ["pods"]}
SERVICE = {"service": {"name": "guard", "namespace": "policy"}}


def webhook(*rules, config=SERVICE, **more):
    return {"name": "w.example.com", "clientConfig": config, "rules": list(rules or (PODS,)), **more}


def found(*webhooks):
    body = {"metadata": {"name": "guard"}, "webhooks": list(webhooks)}
    return [(one.namespace, one.service, one.own_pods) for one in closing(msgspec.convert(body, RawConfiguration))]


def names(operator, *values):
    need = {"key": "kubernetes.io/metadata.name", "operator": operator, "values": list(values)}
    return {"namespaceSelector": {"matchExpressions": [need]}}


@pytest.mark.parametrize(
    ("one", "own"),
    [
        (webhook(), True),
        (webhook({**PODS, "apiGroups": ["*"], "operations": ["*"], "resources": ["*/*"]}), True),
        (webhook({**PODS, "operations": ["UPDATE"]}), False),
        (webhook({**PODS, "resources": ["pods/eviction"]}), False),
        (webhook({**PODS, "apiGroups": ["apps"], "resources": ["deployments"]}), False),
        (webhook({**PODS, "resources": ["secrets"]}, PODS), True),
        (webhook(**names("NotIn", "policy")), False),
        (webhook(**names("NotIn", "kube-system")), True),
        (webhook(**names("In", "shop")), False),
        (webhook(namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "shop"}}), False),
        (webhook(namespaceSelector={"matchLabels": {"guarded": "yes"}}), True),  # what it is labelled with is not known
        (webhook(rules=None), False),
    ],
)
def test_a_webhook_that_fails_closed_is_told_with_whether_it_judges_its_own_pods(one, own):
    assert found(one) == [("policy", "guard", own)]


@pytest.mark.parametrize("one", [webhook(failurePolicy="Ignore"), webhook(config={"url": "https://example.com"})])
def test_what_fails_open_or_is_served_elsewhere_is_nobodys_business(one):
    assert found(one) == []


def test_webhooks_of_one_configuration_and_service_are_one():
    assert found(webhook(rules=None), webhook(), webhook(failurePolicy="Ignore")) == [("policy", "guard", True)]


class Server:
    """One configuration of each kind, and services by path."""

    def __init__(self, **services):
        self.services = services
        self.asked = []

    def list_raw(self, path):
        yield json.dumps(
            {"metadata": {}, "items": [{"metadata": {"name": path[-5:]}, "webhooks": [webhook()]}]}
        ).encode()

    def get(self, path):
        self.asked.append(path)
        name = path.rsplit("/", 1)[1]
        if name not in self.services:
            raise ApiError("not found", status=404)
        return {"spec": self.services[name]}


def test_both_kinds_are_read_and_each_service_once():
    server = Server(guard={"selector": {"app": "guard"}})
    views = look(server)
    assert [view.selector for view in views] == [{"app": "guard"}, {"app": "guard"}]
    assert server.asked == ["/api/v1/namespaces/policy/services/guard"]


@pytest.mark.parametrize("services", [{}, {"guard": {}}])
def test_a_service_that_is_missing_or_served_by_hand_has_no_pods_to_lose(services):
    assert look(Server(**services)) == []
