"""The IAM role of a version's instances: what a node needs to prove itself and join, and the policies a user adds.

Least privilege: an instance may complete launch hooks of its own pool's groups only, and read one parameter.
"""

import hashlib
import json

import pulumi
from pulumi_aws import iam

from pulumi_nodepools.args import NodePoolArgs
from pulumi_nodepools.bootstrap import KubeadmJoin

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
        physical = fitted(f"{args.cluster.name}-{args.pool}-{args.version}-{args.cluster.region}", _ROLE_LIMIT)
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
        self.attachments = [own, *added]


def policy(args: NodePoolArgs) -> dict[str, object]:
    """Finish the launch hook of this pool's groups (their ids are not known before them), and read the join token."""
    cluster = args.cluster
    partition = _partition(cluster.region)
    groups = f"autoScalingGroup:*:autoScalingGroupName/{cluster.name}-{args.pool}-*"
    statements = [
        {
            "Effect": "Allow",
            "Action": ["autoscaling:CompleteLifecycleAction"],
            "Resource": f"arn:{partition}:autoscaling:{cluster.region}:{args.account}:{groups}",
        }
    ]
    if isinstance(cluster.join, KubeadmJoin):
        parameter = cluster.join.token_parameter.lstrip("/")
        statements.append(
            {
                "Effect": "Allow",
                "Action": ["ssm:GetParameter"],
                "Resource": f"arn:{partition}:ssm:{cluster.region}:{args.account}:parameter/{parameter}",
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}


def fitted(name: str, limit: int) -> str:
    """`name`, or its beginning with a digest when it is longer than AWS takes."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _partition(region: str) -> str:
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rpartition("-")[0].rpartition("-")[0], "aws")
