"""The IAM role of a version's instances: what a node needs to prove itself and join, and the policies a user adds.

Least privilege: an instance may complete launch hooks of its own pool's groups only, and read one parameter.
"""

import hashlib
import json

import pulumi
from pulumi_aws import eks, iam

from pulumi_nodepools import names
from pulumi_nodepools.args import BlueGreenNodePoolArgs, NodePoolArgs
from pulumi_nodepools.bootstrap import EksJoin, KubeadmJoin

_ROLE_LIMIT = 64
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}],
}


class NodeRole:
    """Role, policies and instance profile, as children of the NodePool that they belong to."""

    profile_arn: pulumi.Output[str]
    attachments: list[pulumi.Resource]
    """What must be in place before an instance starts, and stay until the last one is gone."""

    def __init__(self, name: str, args: NodePoolArgs, opts: pulumi.ResourceOptions) -> None:
        physical = role_name(args.cluster.name, args.pool, args.version, args.cluster.region)
        role = iam.Role(
            f"{name}-role",
            name=physical,
            description=f"Nodes of pool {args.pool}, version {args.version}, in cluster {args.cluster.name}",
            assume_role_policy=json.dumps(_TRUST),
            opts=opts,
        )
        own = iam.RolePolicy(
            f"{name}-role-join", name="nodepools", role=role.name, policy=json.dumps(policy(args)), opts=opts
        )
        added = [
            iam.RolePolicyAttachment(f"{name}-role-{index}", role=role.name, policy_arn=arn, opts=opts)
            for index, arn in enumerate(args.nodes.role_policies or ())
        ]
        profile = iam.InstanceProfile(f"{name}-profile", name=physical, role=role.name, opts=opts)
        self.profile_arn = profile.arn
        self.attachments = [own, *added, *_entry(name, args, role, opts)]


def _entry(name: str, args: NodePoolArgs, role: iam.Role, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """What lets the role's instances into an EKS cluster."""
    cluster = args.cluster
    if not isinstance(cluster.join, EksJoin) or not cluster.join.access_entry:
        return []
    where = cluster.access.cluster_name or cluster.name
    return [
        eks.AccessEntry(f"{name}-role-entry", cluster_name=where, principal_arn=role.arn, type="EC2_LINUX", opts=opts)
    ]


def role_name(cluster: str, pool: str, version: str, region: str) -> str:
    """What the role and the profile of a version are called; known before they exist."""
    return fitted(f"{cluster}-{pool}-{version}-{region}", _ROLE_LIMIT)


def principals(args: BlueGreenNodePoolArgs) -> dict[str, str]:
    """Whom nodes of each version run as, where that is known before anything is made.

    A role that gets its access entry from us is not among them: it is let in.
    """
    cluster = args.cluster
    found: dict[str, str] = {}
    for version, nodes in args.versions.items():
        if nodes.instance_profile is None:
            if isinstance(cluster.join, EksJoin) and cluster.join.access_entry:
                continue
            found[version] = f"role/{role_name(cluster.name, args.pool, version, cluster.region)}"
        elif isinstance(nodes.instance_profile, str):
            found[version] = f"instance-profile/{nodes.instance_profile}"
    return found


def policy(args: NodePoolArgs) -> dict[str, object]:
    """Finish the launch hook of this pool's groups, say why a node was refused, and read the join token.

    The groups' ids are not known before the groups are, and the rights must be there first: hence their names.
    """
    cluster = args.cluster
    partition = names.partition(cluster.region)
    groups = f"autoScalingGroup:*:autoScalingGroupName/{cluster.name}-{args.pool}-*"
    statements = [
        {
            "Effect": "Allow",
            "Action": ["autoscaling:CompleteLifecycleAction"],
            "Resource": f"arn:{partition}:autoscaling:{cluster.region}:{args.account}:{groups}",
        },
        {
            "Effect": "Allow",
            "Action": ["ec2:CreateTags"],
            "Resource": f"arn:{partition}:ec2:{cluster.region}:{args.account}:instance/*",
            "Condition": {
                "StringEquals": {
                    f"aws:ResourceTag/{names.CLUSTER_TAG}": cluster.name,
                    f"aws:ResourceTag/{names.POOL_LABEL}": args.pool,
                },
                "ForAllValues:StringEquals": {"aws:TagKeys": [names.REFUSED_TAG]},
            },
        },
    ]
    if isinstance(cluster.join, KubeadmJoin):
        action, resource = _token_place(cluster.join)
        arn = f"arn:{partition}:{action.partition(':')[0]}:{cluster.region}:{args.account}:{resource}"
        statements.append({"Effect": "Allow", "Action": [action], "Resource": arn})
    return {"Version": "2012-10-17", "Statement": statements}


def _token_place(join: KubeadmJoin) -> tuple[str, str]:
    if join.token_parameter:
        return "ssm:GetParameter", f"parameter/{join.token_parameter.lstrip('/')}"
    # Secrets Manager adds six characters of its own to the name.
    return "secretsmanager:GetSecretValue", f"secret:{join.token_secret}-??????"


def fitted(name: str, limit: int) -> str:
    """`name`, or its beginning with a digest when it is longer than AWS takes."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
