"""Labels and taints of a version: what kubelet may give itself, and no control plane among the pools."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .rule import UNKNOWN, Severity, Unknown
from .subjects import Answer, NotYet, pool_rule
from .values import strings, texts

Props = Mapping[str, Any]
ROLES = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
# NodeRestriction lets a kubelet set these on itself within the Kubernetes domains, and nothing else there.
_SELF = frozenset(
    {
        *(f"kubernetes.io/{name}" for name in ("hostname", "os", "arch")),
        *(f"beta.kubernetes.io/{name}" for name in ("os", "arch", "instance-type")),
        "node.kubernetes.io/instance-type",
        *(f"topology.kubernetes.io/{name}" for name in ("zone", "region")),
        *(f"failure-domain.beta.kubernetes.io/{name}" for name in ("zone", "region")),
    }
)
_SELF_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_KUBERNETES = re.compile(r"(?:^|\.)(?:kubernetes|k8s)\.io$")


def check_labels(props: Props, _config: Props) -> Iterator[Answer]:
    """Every label is one that a kubelet may set on its own node."""
    labels = texts(props.get("labels"))
    if labels is UNKNOWN:
        yield NotYet("its labels are unknown before the update")
        return
    refused = [key for key in labels if not _may_set(key)]
    if refused:
        yield f"kubelet may not give itself {', '.join(sorted(refused))}, and does not start with it."


def check_control_plane(props: Props, _config: Props) -> Iterator[Answer]:
    """No taint or label makes the pool a control plane."""
    labels, taints = texts(props.get("labels")), taints_of(props)
    if labels is UNKNOWN or taints is UNKNOWN:
        yield NotYet("its labels or taints are unknown before the update")
        return
    for role in ROLES:
        if role in labels or role in taints:
            yield f"{role} makes it a control plane."


def taints_of(props: Props) -> dict[str, str] | Unknown:
    """Taints by key, as `value:Effect`, from their written form `key=value:Effect` or `key:Effect`."""
    given = strings(props.get("taints"))
    if given is UNKNOWN:
        return UNKNOWN
    found: dict[str, str] = {}
    for taint in given:
        left, _, effect = taint.rpartition(":")
        key, _, value = left.partition("=")
        found[key] = f"{value}:{effect}"
    return found


def _may_set(key: str) -> bool:
    prefix = key.partition("/")[0] if "/" in key else ""
    if not _KUBERNETES.search(prefix) or key in _SELF:
        return True
    return any(prefix == domain or prefix.endswith(f".{domain}") for domain in _SELF_DOMAINS)


RULES = (
    pool_rule(
        check_labels,
        name="nodepools-pool-labels",
        description="Labels are such as a kubelet may give its own node (NodeRestriction).",
        why="kubelet refuses to start with another label of the Kubernetes domains: no node ever joins.",
        fix="Use a domain of your own, or node.kubernetes.io/…; roles are given by whoever administers the cluster.",
        example="labels: {example.com/pool: worker}",
        link="https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction",
        severity=Severity.HIGH,
    ),
    pool_rule(
        check_control_plane,
        name="nodepools-pool-control-plane",
        description="No pool is a control plane.",
        why="Replacing control-plane nodes by drains loses etcd's quorum; it is done member by member.",
        fix="Leave control-plane nodes to the tool that made them, and take the label or taint off the pool.",
        example="taints: [example.com/dedicated=batch:NoSchedule]",
        link="https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-upgrade/",
        severity=Severity.CRITICAL,
    ),
)
