"""An Auto Scaling group that exists already, `legacy-workers`, becomes the first version of a pool.

The first `pulumi up` touches neither the group nor its nodes. Then list a version of your own beside it and make it
active: its nodes are made, the workloads move, the old group stands by, emptied, and stays whose it is.
"""

import pulumi

from pulumi_nodepools import Access, BlueGreenNodePool, BlueGreenNodePoolArgs, ClusterArgs, KubeadmJoin

settings = pulumi.Config()

cluster = ClusterArgs(
    name="prod",
    endpoint=settings.require("endpoint"),
    certificate_authority=settings.require("certificateAuthority"),
    join=KubeadmJoin("/nodepools/prod/join-token", tuple(settings.require_object("caCertHashes"))),
    access=Access(kind="kubeconfig"),
    region=pulumi.Config("aws").require("region"),
)
pool = BlueGreenNodePool(
    "worker",
    BlueGreenNodePoolArgs(
        cluster=cluster,
        pool="worker",
        active="legacy",  # later "7.7.1908", with versions={"7.7.1908": NodeArgs(…)}
        versions={},
        adopted={"legacy": "legacy-workers"},
        min_size=1,
        max_size=6,
    ),
)

pulumi.export("groups", pool.group_names)
