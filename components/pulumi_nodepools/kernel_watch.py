"""KernelWatch: node-problem-detector with our kernel signatures on every node of our pools. Once per stack.

It also owns the namespace of all soaks, so that evidence outlives the soak that it is of. It stays after a promotion:
`nodepools status` shows what it has seen.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.rbac import v1 as rbac

from pulumi_nodepools.args import ClusterArgs
from pulumi_nodepools.drainer_access import after, provider_of
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.names import POOL_LABEL, SOAK_NAMESPACE
from pulumi_nodepools.soak.kernel_rules import monitor
from pulumi_nodepools.soak.model import SignatureSet
from pulumi_nodepools.soak_args import SoakArgs

TOKEN = "nodepools:kubernetes:KernelWatch"  # noqa: S105 - a type token
NAME = "nodepools-kernel-watch"
_LABELS = {"app.kubernetes.io/name": NAME}
_RULES: tuple[Any, ...] = (
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch", "update"]},
)
_CONFIG = "kernel-signatures.json"


class KernelWatch(pulumi.ComponentResource):
    """Namespace, ServiceAccount with its rights, configuration, DaemonSet. `soaks` name its image and signatures."""

    namespace: core.Namespace
    provider: pulumi.ProviderResource | None

    def __init__(
        self, name: str, cluster: ClusterArgs, soaks: Sequence[SoakArgs], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        image, sets = agreed(soaks)
        super().__init__(TOKEN, name, {"cluster": cluster.name}, opts)
        self.provider = provider_of(name, cluster, self)
        children = pulumi.ResourceOptions(parent=self, provider=self.provider)
        space: Any = {"name": SOAK_NAMESPACE}
        self.namespace = core.Namespace(f"{name}-namespace", metadata=space, opts=children)
        inside = pulumi.ResourceOptions.merge(children, pulumi.ResourceOptions(depends_on=[self.namespace]))
        metadata: Any = {"name": NAME, "namespace": SOAK_NAMESPACE}
        everywhere: Any = {"name": NAME}
        account = core.ServiceAccount(name, metadata=metadata, opts=inside)
        role = rbac.ClusterRole(name, metadata=everywhere, rules=list(_RULES), opts=children)
        subject: Any = {"kind": "ServiceAccount", "name": NAME, "namespace": SOAK_NAMESPACE}
        reference: Any = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME}
        binding = rbac.ClusterRoleBinding(
            name,
            metadata=everywhere,
            role_ref=reference,
            subjects=[subject],
            opts=after(children, role),
        )
        rules = json.dumps(monitor(sets), sort_keys=True, indent=1)
        config = core.ConfigMap(name, metadata=metadata, data={_CONFIG: rules}, opts=inside)
        labelled: Any = {**metadata, "labels": _LABELS}
        needed = pulumi.ResourceOptions(depends_on=[account, role, binding, config])
        apps.DaemonSet(
            name,
            metadata=labelled,
            spec=_daemon(image, rules),
            opts=pulumi.ResourceOptions.merge(children, needed),
        )
        self.register_outputs({"namespace": SOAK_NAMESPACE})


def agreed(soaks: Sequence[SoakArgs]) -> tuple[str, list[SignatureSet]]:
    """The one image and all signature sets of a stack's soaks; ConfigError if they contradict each other."""
    images = sorted({soak.kernel_watch for soak in soaks})
    if len(images) > 1:
        raise ConfigError(f"soak.images.kernelWatch: pools name {' and '.join(images)}; one watcher serves all of them")
    sets: dict[str, SignatureSet] = {}
    for one in (one for soak in soaks for one in soak.sets):
        if sets.setdefault(one.name, one) != one:
            raise ConfigError(
                f"soak.signatures: the set {one.name} differs between pools; give one of them another name"
            )
    return images[0], list(sets.values())


def _daemon(image: str, rules: str) -> Any:
    affinity: Any = {"matchExpressions": [{"key": POOL_LABEL, "operator": "Exists"}]}
    container: Any = {
        "name": "node-problem-detector",
        "image": image,
        "command": [
            "/node-problem-detector",
            "--logtostderr",
            f"--config.system-log-monitor=/config/{_CONFIG}",
        ],
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "securityContext": {"privileged": True},
        "resources": {"requests": {"cpu": "10m", "memory": "80Mi"}, "limits": {"memory": "160Mi"}},
        "volumeMounts": [
            {"name": "kmsg", "mountPath": "/dev/kmsg", "readOnly": True},
            {"name": "config", "mountPath": "/config", "readOnly": True},
        ],
    }
    return {
        "selector": {"matchLabels": _LABELS},
        "updateStrategy": {"type": "RollingUpdate"},
        "template": {
            # The rules are read once: other ones need another pod.
            "metadata": {"labels": _LABELS, "annotations": {"nodepools.dev/rules": digest_of(rules)}},
            "spec": {
                "serviceAccountName": NAME,
                "priorityClassName": "system-node-critical",
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [affinity]}
                    }
                },
                "tolerations": [{"operator": "Exists"}],
                "containers": [container],
                "volumes": [
                    {"name": "kmsg", "hostPath": {"path": "/dev/kmsg"}},
                    {"name": "config", "configMap": {"name": NAME}},
                ],
            },
        },
    }


def digest_of(text: str) -> str:
    """A short digest, for annotations that make pods new."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
