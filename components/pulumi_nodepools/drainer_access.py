"""DrainerAccess: the rights that a drain needs in the cluster, and a ServiceAccount that has them. Once per stack.

Groups depend on these objects, so that they outlive every drain. Which credentials the drain uses is the user's
choice (`access`): a pipeline inside the cluster runs as this ServiceAccount, others bind the roles to their own.
"""

from collections.abc import Iterable

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.rbac import v1 as rbac

from pulumi_nodepools import names
from pulumi_nodepools.args import ClusterArgs
from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.rights import CLUSTER_RULES, FORCE_RULE, RECORD_RULES, SURGE_RULE, Rule

TOKEN = "nodepools:kubernetes:DrainerAccess"  # noqa: S105 - a type token
NAME = "nodepools-drainer"


class DrainerAccess(pulumi.ComponentResource):
    """ServiceAccount, ClusterRole, and a Role for the pool records, with their bindings."""

    resources: list[pulumi.Resource]
    """What groups depend on, so that a drain keeps its rights to the end."""

    def __init__(
        self,
        name: str,
        cluster: ClusterArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        force: bool = False,
        surge: bool = False,
    ) -> None:
        super().__init__(TOKEN, name, {"cluster": cluster.name}, opts)
        rules = [*CLUSTER_RULES, *([FORCE_RULE] if force else []), *([SURGE_RULE] if surge else [])]
        children = pulumi.ResourceOptions(parent=self, provider=provider_of(name, cluster, self))
        subject = rbac.SubjectArgs(kind="ServiceAccount", name=NAME, namespace=names.RECORD_NAMESPACE)
        everywhere = ObjectMetaArgs(name=NAME)
        inside = ObjectMetaArgs(name=NAME, namespace=names.RECORD_NAMESPACE)
        group = "rbac.authorization.k8s.io"
        everyone = rbac.ClusterRole(name, metadata=everywhere, rules=_granted(rules), opts=children)
        records = rbac.Role(f"{name}-records", metadata=inside, rules=_granted(RECORD_RULES), opts=children)
        self.resources = [
            core.ServiceAccount(name, metadata=inside, opts=children),
            everyone,
            rbac.ClusterRoleBinding(
                name,
                metadata=everywhere,
                role_ref=rbac.RoleRefArgs(api_group=group, kind="ClusterRole", name=NAME),
                subjects=[subject],
                opts=after(children, everyone),
            ),
            records,
            rbac.RoleBinding(
                f"{name}-records",
                metadata=inside,
                role_ref=rbac.RoleRefArgs(api_group=group, kind="Role", name=NAME),
                subjects=[subject],
                opts=after(children, records),
            ),
        ]
        self.register_outputs({"serviceAccount": f"{names.RECORD_NAMESPACE}/{NAME}"})


def _granted(rules: Iterable[Rule]) -> list[rbac.PolicyRuleArgs]:
    return [
        rbac.PolicyRuleArgs(api_groups=[rule.group], resources=list(rule.resources), verbs=list(rule.verbs))
        for rule in rules
    ]


def after(opts: pulumi.ResourceOptions, role: pulumi.Resource) -> pulumi.ResourceOptions:
    """For a binding: only who may do everything may bind a role that is not there yet."""
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[role]))


def provider_of(name: str, cluster: ClusterArgs, parent: pulumi.Resource) -> pulumi.ProviderResource | None:
    """The cluster that the hooks use, not whatever kubeconfig is current; None when that is the same."""
    access = cluster.access
    options = pulumi.ResourceOptions(parent=parent)
    if access.kind == "eks":
        return kubernetes.Provider(name, kubeconfig=_eks_kubeconfig(cluster, access), opts=options)
    if access.path is None and access.context is None:
        return None
    return kubernetes.Provider(name, kubeconfig=access.path, context=access.context, opts=options)


def _eks_kubeconfig(cluster: ClusterArgs, access: Access) -> pulumi.Output[str]:
    """A kubeconfig without secrets: the token is made by the aws command at the time of use."""
    options = {"--region": access.region, "--profile": access.profile, "--role-arn": access.role_arn}
    given = [word for flag, value in options.items() if value for word in (flag, value)]
    name = str(access.cluster_name)
    command = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["eks", "get-token", "--output", "json", "--cluster-name", name, *given],
        "interactiveMode": "Never",
    }
    server = {"server": cluster.endpoint, "certificate-authority-data": cluster.certificate_authority}
    return pulumi.Output.json_dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": server}],
            "users": [{"name": name, "user": {"exec": command}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )
