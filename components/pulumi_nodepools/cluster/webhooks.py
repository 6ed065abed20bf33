"""Admission webhooks that refuse everything while nobody answers for them, and whom their service chooses to answer."""

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.objects import Meta, Raw, RawRequirement, Selector
from pulumi_nodepools.cluster.watch import listed
from pulumi_nodepools.drain.classify import meets
from pulumi_nodepools.drain.model import Requirement, WebhookView
from pulumi_nodepools.errors import ApiError

_API = "/apis/admissionregistration.k8s.io/v1"
_KINDS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
_PODS = frozenset({"pods", "pods/*", "*", "*/*"})
_OWN_NAME = "kubernetes.io/metadata.name"
"""The label that every namespace has; what else it is labelled with is not looked at."""


class Reference(Raw):
    name: str
    namespace: str


class ClientConfig(Raw):
    service: Reference | None = None


class Rule(Raw):
    api_groups: list[str] = msgspec.field(default_factory=list)
    operations: list[str] = msgspec.field(default_factory=list)
    resources: list[str] = msgspec.field(default_factory=list)


class Webhook(Raw):
    client_config: ClientConfig
    failure_policy: str = "Fail"
    namespace_selector: Selector | None = None
    rules: list[Rule] | None = None


class RawConfiguration(Raw):
    metadata: Meta
    webhooks: list[Webhook] | None = None


class ServiceSpec(Raw):
    selector: dict[str, str] | None = None


class RawService(Raw):
    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)


_CONFIGURATION = msgspec.json.Decoder(RawConfiguration)


def look(client: Client) -> list[WebhookView]:
    """One for each configuration and service. AccessDeniedError if these credentials may not read them."""
    selectors: dict[tuple[str, str], dict[str, str]] = {}
    found = []
    for kind in _KINDS:
        for page in client.list_raw(f"{_API}/{kind}"):
            for raw in listed(page):
                for view in closing(_CONFIGURATION.decode(raw)):
                    where = (view.namespace, view.service)
                    if where not in selectors:
                        selectors[where] = _selector(client, *where)
                    if selectors[where]:
                        found.append(msgspec.structs.replace(view, selector=selectors[where]))
    return found


def _selector(client: Client, namespace: str, name: str) -> dict[str, str]:
    """Whom a service chooses; empty if it does not exist, or is served by hand."""
    try:
        raw = client.get(f"/api/v1/namespaces/{namespace}/services/{name}")
    except ApiError as error:
        if error.status == 404:
            return {}
        raise
    return msgspec.convert(raw, RawService).spec.selector or {}


def closing(raw: RawConfiguration) -> Iterator[WebhookView]:
    """The services on which a configuration depends to let anything pass, each once."""
    served: dict[tuple[str, str], list[Webhook]] = defaultdict(list)
    for webhook in raw.webhooks or ():
        called = webhook.client_config.service
        if called and webhook.failure_policy == "Fail":
            served[(called.namespace, called.name)].append(webhook)
    for (namespace, service), webhooks in served.items():
        own = any(_judges_pods_in(namespace, webhook) for webhook in webhooks)
        yield WebhookView(name=raw.metadata.name, namespace=namespace, service=service, own_pods=own)


def _judges_pods_in(namespace: str, webhook: Webhook) -> bool:
    chosen = webhook.namespace_selector
    needs = [_need(one) for one in (chosen.match_expressions if chosen else None) or () if one.key == _OWN_NAME]
    name = {_OWN_NAME: namespace}
    asked = ((chosen.match_labels if chosen else None) or {}).get(_OWN_NAME, namespace)
    return asked == namespace and all(meets(name, need) for need in needs) and any(map(_covers, webhook.rules or ()))


def _need(raw: RawRequirement) -> Requirement:
    return Requirement(raw.key, raw.operator, tuple(raw.values or ()))


def _covers(rule: Rule) -> bool:
    """Whether it judges the creation of pods."""
    return (
        not {"", "*"}.isdisjoint(rule.api_groups)
        and not {"CREATE", "*"}.isdisjoint(rule.operations)
        and not _PODS.isdisjoint(rule.resources)
    )
