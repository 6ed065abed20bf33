"""Deployments of the API to the slim view of drain.model, and the one write that a drain makes to them."""

import math

import msgspec

from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.eviction import answered
from pulumi_nodepools.cluster.objects import Meta, Raw
from pulumi_nodepools.drain.events import Answered, Surge
from pulumi_nodepools.drain.model import DeploymentView
from pulumi_nodepools.errors import AccessDeniedError, ClusterUnreachableError
from pulumi_nodepools.names import SURGE_ANNOTATION


class RollingUpdate(Raw):
    max_surge: str | int = "25%"
    max_unavailable: str | int = "25%"


class Strategy(Raw):
    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class Template(Raw):
    metadata: Meta = msgspec.field(default_factory=Meta)


class DeploymentSpec(Raw):
    replicas: int | None = None
    paused: bool = False
    strategy: Strategy = msgspec.field(default_factory=Strategy)
    template: Template = msgspec.field(default_factory=Template)


class DeploymentStatus(Raw):
    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0


class RawDeployment(Raw):
    metadata: Meta
    spec: DeploymentSpec = msgspec.field(default_factory=DeploymentSpec)
    status: DeploymentStatus = msgspec.field(default_factory=DeploymentStatus)


def deployment_view(raw: RawDeployment) -> DeploymentView:
    """The view of a Deployment."""
    meta, spec, status = raw.metadata, raw.spec, raw.status
    replicas = 1 if spec.replicas is None else spec.replicas
    return DeploymentView(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
        replicas=replicas,
        adds_first=_adds_first(spec.strategy),
        paused=spec.paused,
        settled=status.observed_generation >= meta.generation
        and status.updated_replicas == status.replicas == replicas,
        moving=(spec.template.metadata.annotations or {}).get(SURGE_ANNOTATION, ""),
    )


def _adds_first(strategy: Strategy) -> bool:
    """Of one replica, any share of a surge is rounded up to one, and of an absence down to none."""
    limits = strategy.rolling_update or RollingUpdate()
    return strategy.type == "RollingUpdate" and _of_one(limits.max_surge) > 0 and _of_one(limits.max_unavailable) < 1


def _of_one(limit: str | int) -> float:
    """A share of one replica; what is none is neither more nor less than anything."""
    text = str(limit)
    number = text.removesuffix("%")
    if not number.isascii() or not number.isdecimal():
        return math.nan
    return int(number) / (100 if text.endswith("%") else 1)


def surge(client: Client, action: Surge) -> Answered:
    """Ask for a rollout by the UID of the pod that is to be replaced: the same words twice make no second rollout.

    Only of the Deployment that was judged: whatever was changed since makes the server answer 409.
    """
    made = action.deployment
    body = {
        "metadata": {"uid": made.uid, "resourceVersion": made.resource_version},
        "spec": {"template": {"metadata": {"annotations": {SURGE_ANNOTATION: action.uid}}}},
    }
    path = f"/apis/apps/v1/namespaces/{made.namespace}/deployments/{made.name}"
    try:
        answer = client.request("PATCH", path, body=body, content_type="application/merge-patch+json")
    except ClusterUnreachableError as error:
        return Answered(action.uid, 0, message=str(error))
    except AccessDeniedError as error:
        return Answered(action.uid, 401, message=str(error))
    return answered(action.uid, answer)
