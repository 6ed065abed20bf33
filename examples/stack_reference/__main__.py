"""A team's pool in a stack of its own; the cluster is another stack's, `clusterStack`, and known by its outputs.

An output may stand wherever an input is taken. What is looked up before anything is registered, or judged there, must
be plain and is configured: subnets, and the pins of the CA.
"""

import pulumi

from pulumi_nodepools import (
    Access,
    BlueGreenNodePool,
    BlueGreenNodePoolArgs,
    ClusterArgs,
    DrainerAccess,
    DrainSettings,
    KubeadmJoin,
    NodeArgs,
)

VERSION = "7.7.1908"

settings = pulumi.Config()
made = pulumi.StackReference(settings.require("clusterStack"))

cluster = ClusterArgs(
    name="prod",
    endpoint=made.require_output("endpoint"),
    certificate_authority=made.require_output("certificateAuthority"),
    join=KubeadmJoin("/nodepools/prod/join-token", tuple(settings.require_object("caCertHashes"))),
    access=Access(kind="kubeconfig"),
    region=pulumi.Config("aws").require("region"),
)
nodes = NodeArgs(
    image_id=settings.require("imageId"),
    instance_type="m5.2xlarge",
    subnet_ids=settings.require_object("subnetIds"),
    security_group_ids=[made.require_output("nodeSecurityGroup")],
    kernel_arguments=["cgroup.memory=nokmem"],
    minimum_kernel="3.10.0-1062.4.1",
    role_policies=[],
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
