"""One cluster of the fleet; its stack is named after it. `roll.py` brings a version to all of them, wave by wave."""

import pulumi

from pulumi_nodepools import Access, BlueGreenNodePool, BlueGreenNodePoolArgs, ClusterArgs, KubeadmJoin, NodeArgs

name = pulumi.get_stack()
settings = pulumi.Config()
version = settings.require("version")

cluster = ClusterArgs(
    name=name,
    endpoint=settings.require("endpoint"),
    certificate_authority=settings.require("certificateAuthority"),
    join=KubeadmJoin(settings.require("tokenParameter"), tuple(settings.require_object("caCertHashes"))),
    access=Access(kind="kubeconfig", context=settings.get("context")),
    region=pulumi.Config("aws").require("region"),
)
nodes = NodeArgs(
    image_id=settings.require("imageId"),
    instance_type="m5.2xlarge",
    subnet_ids=settings.require_object("subnetIds"),
    security_group_ids=settings.require_object("securityGroupIds"),
    role_policies=[],
)
args = BlueGreenNodePoolArgs(
    cluster=cluster, pool=f"{name}-worker", active=version, versions={version: nodes}, min_size=2, max_size=20
)
pool = BlueGreenNodePool("worker", args)

pulumi.export("groups", pool.group_names)
