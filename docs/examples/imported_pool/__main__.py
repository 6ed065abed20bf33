"""Another stack's own program, after `pip install pulumi-nodepools`: one pool of an EKS cluster.

To patch it, replace VERSION and the image by new ones and run `pulumi up`: the new nodes come first, the workloads
move, the old nodes go last.
"""

import pulumi

from pulumi_nodepools import (
    Access,
    BlueGreenNodePool,
    BlueGreenNodePoolArgs,
    ClusterArgs,
    DrainerAccess,
    DrainSettings,
    EksJoin,
    NodeArgs,
)

VERSION = "7.7.1908"

settings = pulumi.Config()
region = pulumi.Config("aws").require("region")
network = pulumi.StackReference(settings.require("networkStack"))

cluster = ClusterArgs(
    name=settings.require("cluster"),
    endpoint=network.require_output("clusterEndpoint"),  # may be an output: user data waits for it
    certificate_authority=network.require_output("clusterCertificateAuthority"),
    join=EksJoin(),
    access=Access(kind="eks", cluster_name=settings.require("cluster"), region=region),
    region=region,
)

nodes = NodeArgs(
    image_id=settings.require("imageId"),
    instance_type="m5.2xlarge",
    subnet_ids=settings.require_object("subnetIds"),  # plain: looked up before anything is created
    security_group_ids=[network.require_output("nodeSecurityGroupId")],
    kernel_arguments=["cgroup.memory=nokmem"],
    minimum_kernel="3.10.0-1062.4.1",
    role_policies=[
        "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
        "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy",
        "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
    ],
)

rights = DrainerAccess("nodepools-drainer", cluster)

pool = BlueGreenNodePool(
    "batch",
    BlueGreenNodePoolArgs(
        cluster=cluster,
        pool="batch",
        active=VERSION,
        versions={VERSION: nodes},
        min_size=2,
        max_size=10,
        drain=DrainSettings(batch_size="25%"),
        group_depends_on=rights.resources,
    ),
)

pulumi.export("groups", pool.group_names)
