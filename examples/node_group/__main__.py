"""A program that has an EKS managed node group already: its nodes are drained before it is replaced or deleted.

The hook is the only addition. It drains by labels, under disruption budgets, and the group is deleted after it.
"""

import pulumi
import pulumi_aws as aws

from pulumi_nodepools import Access, DrainHook

settings = pulumi.Config()
cluster = settings.require("cluster")

group = aws.eks.NodeGroup(
    "batch",
    cluster_name=cluster,
    node_role_arn=settings.require("nodeRoleArn"),
    subnet_ids=settings.require_object("subnetIds"),
    scaling_config={"min_size": 2, "max_size": 10, "desired_size": 3},
)

access = Access(kind="eks", cluster_name=cluster, region=pulumi.Config("aws").require("region"))
# From the group's own output: when the group is replaced, the hook is too, and drains the nodes of the old one.
labels = {"eks.amazonaws.com/nodegroup": group.node_group_name}
DrainHook.for_nodes("batch-drain", labels, access, opts=pulumi.ResourceOptions(depends_on=[group]))
