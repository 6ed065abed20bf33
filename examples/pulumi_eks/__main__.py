"""An EKS cluster made by pulumi-eks, and a pool of it in the same program.

A pool is looked at in the cluster before it is made, so there must be one: the first `pulumi up` makes the cluster,
then `pulumi config set withPool true` and a second one makes the pool. Needs `pip install pulumi-eks` as well.
"""

import pulumi
import pulumi_eks as eks

from pulumi_nodepools import Access, BlueGreenNodePool, BlueGreenNodePoolArgs, ClusterArgs, EksJoin, NodeArgs

NAME = "prod"
SERVICES = "172.20.0.0/16"

settings = pulumi.Config()
subnets = settings.require_object("subnetIds")
region = pulumi.Config("aws").require("region")

made = eks.Cluster(
    NAME,
    name=NAME,
    vpc_id=settings.require("vpcId"),
    private_subnet_ids=subnets,
    kubernetes_service_ip_address_range=SERVICES,
    authentication_mode=eks.AuthenticationMode.API,
    skip_default_node_group=True,
)

if settings.get_bool("withPool"):
    server = made.kubeconfig["clusters"][0]["cluster"]
    cluster = ClusterArgs(
        name=NAME,
        endpoint=server["server"],
        certificate_authority=server["certificate-authority-data"],
        join=EksJoin(service_cidr=SERVICES),
        access=Access(kind="eks", cluster_name=NAME, region=region),
        region=region,
    )
    nodes = NodeArgs(
        image_id=settings.require("imageId"),
        os_family="al2023",
        instance_type="m5.2xlarge",
        subnet_ids=subnets,
        security_group_ids=[made.cluster_security_group_id],
        role_policies=[
            "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
            "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy",
            "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
        ],
    )
    BlueGreenNodePool(
        "worker",
        BlueGreenNodePoolArgs(
            cluster=cluster,
            pool="worker",
            active="v1",
            versions={"v1": nodes},
            min_size=3,
            max_size=20,
            group_depends_on=[made],
        ),
    )
