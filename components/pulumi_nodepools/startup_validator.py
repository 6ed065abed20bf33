"""StartupValidator: a DaemonSet that proves nodes from inside the cluster and then takes their startup taint away.

The second lock, for nodes that cannot answer a launch hook of their Auto Scaling group (a managed node group, a family
without a shell). They register with the taint (`NodeArgs.startup_taint`), so nothing is scheduled on them before. What
is judged is `in_cluster.startup_validator`'s business; the launch hook is node_pool's.
"""

import json
from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs
from pulumi_kubernetes.rbac import v1 as rbac

from pulumi_nodepools import config_checks as checks
from pulumi_nodepools import names
from pulumi_nodepools.args import NodeArgs
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.pod_files import PACKAGE, config_map_data, config_map_items, validator_files

TOKEN = "nodepools:kubernetes:StartupValidator"  # noqa: S105 - a type token
_MODULE = "in_cluster.startup_validator"
_REQUIREMENTS = "requirements.json"
_FOLDER = "/program"
_NOBODY = 65534


class StartupValidator(pulumi.ComponentResource):
    """ServiceAccount, rights on nodes, program and DaemonSet for one pool. `image` is any Python 3.8 or newer, pinned
    by digest, such as `python:3.12-slim@sha256:…`; versions are those of the pool that have a startup taint.
    """

    resources: list[pulumi.Resource]
    """What must be in place before nodes with the taint are launched."""

    def __init__(
        self,
        name: str,
        pool: str,
        versions: Mapping[str, NodeArgs],
        image: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        try:
            checks.name("pool name", pool)
            checks.pinned_image(image)
        except ValueError as error:
            raise ConfigError(f"StartupValidator {name}: {error}") from None
        super().__init__(TOKEN, name, {"pool": pool, "image": image}, opts)
        self._name, self._physical = name, f"nodepools-{pool}-startup"
        self._meta = ObjectMetaArgs(name=self._physical, namespace=names.RECORD_NAMESPACE)
        account = core.ServiceAccount(name, metadata=self._meta, opts=self._after())
        rights = self._create_rights(account)
        program = core.ConfigMap(name, metadata=self._meta, data=_data(pool, versions), opts=self._after())
        pods = self._create_pods(pool, image, [*rights, program])
        self.resources = [account, *rights, program, pods]
        self.register_outputs({"daemonSet": f"{names.RECORD_NAMESPACE}/{self._physical}"})

    def _after(self, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(resources))

    def _create_rights(self, account: pulumi.Resource) -> Sequence[pulumi.Resource]:
        meta = ObjectMetaArgs(name=self._physical)
        rule = rbac.PolicyRuleArgs(api_groups=[""], resources=["nodes"], verbs=["get", "patch"])
        role = rbac.ClusterRole(self._name, metadata=meta, rules=[rule], opts=self._after())
        return (
            role,
            rbac.ClusterRoleBinding(
                self._name,
                metadata=meta,
                role_ref=rbac.RoleRefArgs(
                    api_group="rbac.authorization.k8s.io", kind="ClusterRole", name=self._physical
                ),
                subjects=[
                    rbac.SubjectArgs(kind="ServiceAccount", name=self._physical, namespace=names.RECORD_NAMESPACE)
                ],
                opts=self._after(account, role),
            ),
        )

    def _create_pods(self, pool: str, image: str, before: Sequence[pulumi.Resource]) -> apps.DaemonSet:
        labels = {"app.kubernetes.io/name": self._physical}
        mounted = config_map_items([*validator_files(), _REQUIREMENTS])
        spec = core.PodSpecArgs(
            service_account_name=self._physical,
            node_selector={names.POOL_LABEL: pool},
            tolerations=[core.TolerationArgs(operator="Exists")],
            priority_class_name="system-node-critical",
            security_context=core.PodSecurityContextArgs(
                run_as_non_root=True,
                run_as_user=_NOBODY,
                seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault"),
            ),
            containers=[_container(image)],
            volumes=[
                core.VolumeArgs(
                    name="program",
                    config_map=core.ConfigMapVolumeSourceArgs(
                        name=self._physical,
                        items=[core.KeyToPathArgs(key=key, path=path) for key, path in mounted.items()],
                    ),
                )
            ],
        )
        template = core.PodTemplateSpecArgs(metadata=ObjectMetaArgs(labels=labels), spec=spec)
        return apps.DaemonSet(
            self._name,
            # Not waited for: its nodes come later.
            metadata=ObjectMetaArgs(
                name=self._physical,
                namespace=names.RECORD_NAMESPACE,
                annotations={"pulumi.com/skipAwait": "true"},
            ),
            spec=apps.DaemonSetSpecArgs(selector=LabelSelectorArgs(match_labels=labels), template=template),
            opts=self._after(*before),
        )


def _container(image: str) -> core.ContainerArgs:
    field = core.ObjectFieldSelectorArgs(field_path="spec.nodeName")
    return core.ContainerArgs(
        name="validator",
        image=image,
        command=["python3", "-m", f"{PACKAGE}.{_MODULE}", "--requirements", f"{_FOLDER}/{_REQUIREMENTS}"],
        env=[
            core.EnvVarArgs(name="PYTHONPATH", value=_FOLDER),
            core.EnvVarArgs(name="PYTHONDONTWRITEBYTECODE", value="1"),
            core.EnvVarArgs(name="NODE_NAME", value_from=core.EnvVarSourceArgs(field_ref=field)),
        ],
        volume_mounts=[core.VolumeMountArgs(name="program", mount_path=_FOLDER, read_only=True)],
        resources=core.ResourceRequirementsArgs(requests={"cpu": "10m", "memory": "32Mi"}, limits={"memory": "64Mi"}),
        security_context=core.SecurityContextArgs(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=core.CapabilitiesArgs(drop=["ALL"]),
        ),
    )


def _data(pool: str, versions: Mapping[str, NodeArgs]) -> dict[str, str]:
    """The program's files and what it must find, as keys of a ConfigMap."""
    wanted = {
        names.validated_value(pool, version): {
            "kernelArguments": list(nodes.kernel_arguments),
            "minimumKernel": nodes.minimum_kernel or "",
        }
        for version, nodes in versions.items()
        if nodes.startup_taint
    }
    return {**config_map_data(validator_files()), _REQUIREMENTS: json.dumps(wanted, indent=1, sort_keys=True)}
