"""A pool of spot instances: nodes that EC2 may take back at two minutes' notice.

A drain that meets such a node counts it as gone once EC2 says so. Leave what must not be interrupted to another pool:
here a taint keeps away what does not ask for spot nodes.
"""

import pulumi

from pulumi_nodepools import Access, BlueGreenNodePool, BlueGreenNodePoolArgs, ClusterArgs, KubeadmJoin, NodeArgs

settings = pulumi.Config()

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
    spot=True,
    subnet_ids=settings.require_object("subnetIds"),
    security_group_ids=settings.require_object("securityGroupIds"),
    taints=["example.com/spot=true:NoSchedule"],
    role_policies=[],
)
pool = BlueGreenNodePool(
    "batch",
    BlueGreenNodePoolArgs(cluster=cluster, pool="batch", active="v1", versions={"v1": nodes}, min_size=0, max_size=50),
)

pulumi.export("groups", pool.group_names)
