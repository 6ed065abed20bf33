"""A pool of a cluster made with kubeadm.

To patch it: `pulumi config set version 7.7.1908`, `pulumi config set imageId ami-…`, `pulumi up`. The new nodes come
first, the workloads move, the old nodes go last.
"""

import pulumi

from pulumi_nodepools import Access, BlueGreenNodePool, BlueGreenNodePoolArgs, ClusterArgs, KubeadmJoin, NodeArgs

settings = pulumi.Config()
version = settings.require("version")

cluster = ClusterArgs(
    name="prod",
    endpoint=settings.require("endpoint"),
    certificate_authority=settings.require("certificateAuthority"),
    join=KubeadmJoin("/nodepools/prod/join-token", tuple(settings.require_object("caCertHashes"))),
    access=Access(kind="kubeconfig"),
    region=pulumi.Config("aws").require("region"),
)
nodes = NodeArgs(
    image_id=settings.require("imageId"),
    instance_type="m5.2xlarge",
    subnet_ids=settings.require_object("subnetIds"),
    security_group_ids=settings.require_object("securityGroupIds"),
    kernel_arguments=["cgroup.memory=nokmem"],
    minimum_kernel="3.10.0-1062.4.1",
    role_policies=[],
)
pool = BlueGreenNodePool(
    "worker",
    BlueGreenNodePoolArgs(
        cluster=cluster, pool="worker", active=version, versions={version: nodes}, min_size=3, max_size=20
    ),
)

pulumi.export("groups", pool.group_names)
