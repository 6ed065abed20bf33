"""A pool of an EKS cluster that is there already, found by its name.

Its nodes are Amazon Linux 2023. They get a role and an access entry of their own with each version; a cluster that
admits nodes by the aws-auth ConfigMap alone wants `EksJoin(…, access_entry=False)`.
"""

import pulumi
import pulumi_aws as aws

from pulumi_nodepools import (
    Access,
    BlueGreenNodePool,
    BlueGreenNodePoolArgs,
    ClusterArgs,
    DrainerAccess,
    EksJoin,
    NodeArgs,
)

settings = pulumi.Config()
name = settings.require("cluster")
version = settings.require("version")
region = pulumi.Config("aws").require("region")
found = aws.eks.get_cluster(name=name)

cluster = ClusterArgs(
    name=name,
    endpoint=found.endpoint,
    certificate_authority=found.certificate_authorities[0].data,
    join=EksJoin(service_cidr=found.kubernetes_network_configs[0].service_ipv4_cidr),
    access=Access(kind="eks", cluster_name=name, region=region),
    region=region,
)
nodes = NodeArgs(
    image_id=settings.require("imageId"),
    os_family="al2023",
    instance_type="m5.2xlarge",
    subnet_ids=found.vpc_config.subnet_ids,
    security_group_ids=[found.vpc_config.cluster_security_group_id],
    role_policies=[
        "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
        "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy",
        "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
    ],
)
rights = DrainerAccess("nodepools-drainer", cluster)
pool = BlueGreenNodePool(
    "worker",
    BlueGreenNodePoolArgs(
        cluster=cluster,
        pool="worker",
        active=version,
        versions={version: nodes},
        min_size=3,
        max_size=20,
        group_depends_on=rights.resources,
    ),
)

pulumi.export("groups", pool.group_names)
