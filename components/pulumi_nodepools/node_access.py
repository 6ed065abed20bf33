"""Whether an EKS cluster lets nodes in that run with a given role: by an access entry, or by the aws-auth ConfigMap.

Only looks. The entries of roles that this library makes are node_role's; aws-auth is never written.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.errors import AccessDeniedError, ApiError, AwsError, CredentialsExpiredError
from pulumi_nodepools.names import partition

_AWS_AUTH = "/api/v1/namespaces/kube-system/configmaps/aws-auth"
_NODES = frozenset({"EC2_LINUX", "EC2"})
"""Types of access entries that kubelets may join with."""
_ROLE = re.compile(r"rolearn:\s*[\"']?(arn:[^\s\"']+)", re.IGNORECASE)


def warnings(session: Session, client: Client, cluster: str, principals: Mapping[str, str], account: str) -> list[str]:
    """One line for each version whose nodes could not join, or of which that cannot be told.

    `principals`: `role/NAME`, or `instance-profile/NAME` (or its ARN), by version.
    """
    told = (_told(session, client, cluster, version, _Principal(name, account)) for version, name in principals.items())
    return [line for line in told if line]


@dataclass(frozen=True)
class _Principal:
    name: str
    account: str


def _told(session: Session, client: Client, cluster: str, version: str, principal: _Principal) -> str:
    try:
        role = _role(session, principal)
        return _refused(session, client, cluster, version, role)
    except CredentialsExpiredError:
        raise
    except (AccessDeniedError, AwsError) as error:
        return f"whether nodes of version {version} may join EKS cluster {cluster} was not looked at: {error}"


def _role(session: Session, principal: _Principal) -> str:
    """The ARN of the role that the nodes run with."""
    kind, _, name = principal.name.partition("/")
    if kind == "role":
        return f"arn:{partition(session.region)}:iam::{principal.account}:role/{name}"
    answer = session.call("iam", "get_instance_profile", InstanceProfileName=name.rpartition("/")[2])
    return str(answer["InstanceProfile"]["Roles"][0]["Arn"])


def _refused(session: Session, client: Client, cluster: str, version: str, role: str) -> str:
    described = session.call("eks", "describe_cluster", name=cluster)["cluster"]
    mode = described.get("accessConfig", {}).get("authenticationMode", "CONFIG_MAP")
    kind = _entry(session, cluster, role) if mode != "CONFIG_MAP" else ""
    if kind in _NODES or (mode != "API" and role in _mapped(client)):
        return ""
    what = f"nodes of version {version} run as {role}, and EKS cluster {cluster} ({mode})"
    if kind:
        return f"{what} knows it by an access entry of type {kind}, with which no kubelet may join; it takes EC2_LINUX"
    if mode == "CONFIG_MAP":
        return (
            f"{what} does not map it in the ConfigMap aws-auth, so they could not join. Add it to mapRoles with the "
            "groups system:bootstrappers and system:nodes, or give the pool an instanceProfile whose role is there"
        )
    return (
        f"{what} has no access entry for it, so they could not join. Make one "
        f'(aws.eks.AccessEntry("nodes", cluster_name="{cluster}", principal_arn="{role}", type="EC2_LINUX")), or give '
        "the pool an instanceProfile whose role has one"
    )


def _entry(session: Session, cluster: str, role: str) -> str:
    """The type of the role's access entry; empty if there is none."""
    try:
        answer = session.call("eks", "describe_access_entry", clusterName=cluster, principalArn=role)
    except AwsError as error:
        if error.code == "ResourceNotFoundException":
            return ""
        raise
    return str(answer["accessEntry"].get("type", "STANDARD"))


def _mapped(client: Client) -> set[str]:
    """The roles that the ConfigMap maps."""
    try:
        data = client.get(_AWS_AUTH).get("data") or {}
    except ApiError as error:
        if error.status != 404:
            raise
        return set()
    return set(_ROLE.findall(data.get("mapRoles", "")))
