"""SoakTest: one version's canary under its job, repeated, and the collector that keeps the evidence.

Everything here goes when the version is no longer a canary; the evidence stays. Which nodes are the canary's is the
caller's to say; whether the evidence is enough is SoakGate's.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.rbac import v1 as rbac

from pulumi_nodepools.collector.rights import CLUSTER_RULES, NAMESPACE_RULES
from pulumi_nodepools.collector.settings import Settings
from pulumi_nodepools.drainer_access import after
from pulumi_nodepools.kernel_watch import KernelWatch, digest_of
from pulumi_nodepools.names import POOL_LABEL, SOAK_LABEL, SOAK_NAMESPACE, VERSION_LABEL
from pulumi_nodepools.pod_files import collector_files, config_map_data, config_map_items
from pulumi_nodepools.soak.document import spec_digest
from pulumi_nodepools.soak.evidence import Group, Subject
from pulumi_nodepools.soak_args import SoakArgs
from pulumi_nodepools.soak_pods import kind_in_docker, runs

TOKEN = "nodepools:kubernetes:SoakTest"  # noqa: S105 - a type token
_LONGEST = 40
"""Characters of an object's name before its suffix: CronJobs take 52."""
_ROOT = "/opt/nodepools"
_SETTINGS = "/etc/nodepools"


@dataclass(frozen=True, kw_only=True)
class SoakTestArgs:
    """One version under test.

    `nodes` are the labels of the canary's nodes and `tolerations` what lets pods onto them; `old_nodes` those of the
    nodes that serve now, for comparison. `spec` is what the user wrote of the version.
    """

    pool: str
    version: str
    image_id: pulumi.Input[str]
    spec: Mapping[str, Any]
    nodes: Mapping[str, str]
    tolerations: Sequence[Mapping[str, str]]
    soak: SoakArgs
    watch: KernelWatch
    old_nodes: Mapping[str, str] | None = None
    old_tolerations: Sequence[Mapping[str, str]] = field(default=())


class SoakTest(pulumi.ComponentResource):
    """The repeated job on canary and old nodes, and the collector with its rights."""

    def __init__(self, name: str, args: SoakTestArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(TOKEN, name, {"pool": args.pool, "version": args.version}, opts)
        self._name, self._args = name, args
        self._base = _short(f"{args.pool}-{args.version}")
        self._children = pulumi.ResourceOptions(
            parent=self, provider=args.watch.provider, depends_on=[args.watch.namespace]
        )
        rights = self._create_rights()
        self._create_collector(rights)
        self._create_runs("canary", args.nodes, args.tolerations)
        if args.soak.baseline and args.old_nodes:
            self._create_runs("baseline", args.old_nodes, args.old_tolerations)
        self.register_outputs({"namespace": SOAK_NAMESPACE})

    def _metadata(self, suffix: str, **more: Any) -> Any:
        return {"name": f"{self._base}-{suffix}", "namespace": SOAK_NAMESPACE, **more}

    def _create_rights(self) -> list[pulumi.Resource]:
        """A ServiceAccount that may read what belongs to the soak and write evidence, nothing else."""
        name, metadata = f"{self._name}-collector", self._metadata("collector")
        everywhere: Any = {"name": f"{SOAK_NAMESPACE}-{metadata['name']}"}
        subject: Any = {"kind": "ServiceAccount", "name": metadata["name"], "namespace": SOAK_NAMESPACE}
        group = "rbac.authorization.k8s.io"
        cluster_role: Any = {"apiGroup": group, "kind": "ClusterRole", "name": everywhere["name"]}
        role: Any = {"apiGroup": group, "kind": "Role", "name": metadata["name"]}
        reads = rbac.ClusterRole(name, metadata=everywhere, rules=_rules(CLUSTER_RULES), opts=self._children)
        writes = rbac.Role(name, metadata=metadata, rules=_rules(NAMESPACE_RULES), opts=self._children)
        return [
            core.ServiceAccount(name, metadata=metadata, opts=self._children),
            reads,
            rbac.ClusterRoleBinding(
                name,
                metadata=everywhere,
                role_ref=cluster_role,
                subjects=[subject],
                opts=after(self._children, reads),
            ),
            writes,
            rbac.RoleBinding(
                name,
                metadata=metadata,
                role_ref=role,
                subjects=[subject],
                opts=after(self._children, writes),
            ),
        ]

    def _create_collector(self, rights: Sequence[pulumi.Resource]) -> None:
        args, name = self._args, f"{self._name}-collector"
        program = config_map_data(collector_files())
        settings = pulumi.Output.all(args.image_id, pulumi.Output.from_input(args.spec)).apply(self._settings)
        written: Any = {"settings.json": settings}
        maps = [
            core.ConfigMap(f"{name}-program", metadata=self._metadata("program"), data=program, opts=self._children),
            core.ConfigMap(
                f"{name}-settings",
                metadata=self._metadata("settings"),
                data=written,
                opts=self._children,
            ),
        ]
        # What is mounted is read once: anything else needs another pod.
        stamp = settings.apply(lambda text: digest_of(text + json.dumps(program, sort_keys=True)))
        apps.Deployment(
            name,
            metadata=self._metadata("collector"),
            spec=stamp.apply(self._deployment),
            opts=pulumi.ResourceOptions.merge(self._children, pulumi.ResourceOptions(depends_on=[*rights, *maps])),
        )

    def _settings(self, known: Sequence[Any]) -> str:
        image, spec = known
        args = self._args
        subject = Subject(args.pool, args.version, image, spec_digest(spec))
        nodes = ",".join(f"{key}={value}" for key, value in sorted(args.nodes.items()))
        return Settings(subject, nodes, SOAK_NAMESPACE, tuple(args.soak.sets)).to_json()

    def _deployment(self, stamp: str) -> Any:
        items = [{"key": key, "path": path} for key, path in config_map_items(collector_files()).items()]
        labels = {"app.kubernetes.io/name": "nodepools-collector", "app.kubernetes.io/instance": self._base}
        return {
            # Two collectors would write over each other.
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": {"nodepools.dev/program": stamp}},
                "spec": {
                    "serviceAccountName": f"{self._base}-collector",
                    "securityContext": {"runAsNonRoot": True, "runAsUser": 65534},
                    "containers": [_collector(self._args.soak.collector)],
                    "volumes": [
                        {"name": "program", "configMap": {"name": f"{self._base}-program", "items": items}},
                        {"name": "settings", "configMap": {"name": f"{self._base}-settings"}},
                    ],
                },
            },
        }

    def _create_runs(self, group: Group, nodes: Mapping[str, str], tolerations: Sequence[Mapping[str, str]]) -> None:
        args, soak = self._args, self._args.soak
        labels = {SOAK_LABEL: group, POOL_LABEL: args.pool, VERSION_LABEL: args.version}
        spec: Any = runs(
            soak.template or kind_in_docker(str(soak.kind_in_docker)),
            labels=labels,
            nodes=nodes,
            tolerations=tolerations,
            every=soak.every,
            parallel=soak.parallel,
            timeout=soak.timeout,
        )
        # The pods of an indexed Job are named after it, and must be DNS labels.
        metadata = self._metadata(group, labels=labels) | {"name": f"{_dotless(self._base)}-{group}"}
        batch.CronJob(f"{self._name}-{group}", metadata=metadata, spec=spec, opts=self._children)


def _rules(rules: Sequence[Any]) -> Any:
    return list(rules)


def _collector(image: str) -> Any:
    return {
        "name": "collector",
        "image": image,
        "command": ["python3", "-m", "pulumi_nodepools.collector", f"{_SETTINGS}/settings.json"],
        "env": [{"name": "PYTHONPATH", "value": _ROOT}, {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [
            {"name": "program", "mountPath": _ROOT, "readOnly": True},
            {"name": "settings", "mountPath": _SETTINGS, "readOnly": True},
        ],
    }


def _dotless(name: str) -> str:
    """The name without dots; with a digest, because 7.1 and 7-1 would be one."""
    return name if "." not in name else _cut(name.replace(".", "-"), name)


def _short(name: str) -> str:
    """The name, or its beginning with a digest when it is too long."""
    return name if len(name) <= _LONGEST else _cut(name, name)


def _cut(shown: str, whole: str) -> str:
    return f"{shown[: _LONGEST - 9].rstrip('.-')}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
