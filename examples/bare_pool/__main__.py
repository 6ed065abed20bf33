"""NodePool alone: machines that prove their kernel before they join, one group per zone.

Nothing here drains: deleting this pool terminates its nodes with what runs on them. Use it for nodes that hold nothing,
or BlueGreenNodePool for everything else.
"""

import pulumi

from pulumi_nodepools import Access, ClusterArgs, KubeadmJoin, NodeArgs, NodePool, NodePoolArgs, SizeArgs

settings = pulumi.Config()
zone_subnets: dict[str, list[str]] = settings.require_object("zoneSubnets")

pool = NodePool(
    "scratch-v1",
    NodePoolArgs(
        cluster=ClusterArgs(
            name="prod",
            endpoint=settings.require("endpoint"),
            certificate_authority=settings.require("certificateAuthority"),
            join=KubeadmJoin(
                token_parameter="/nodepools/prod/join-token",  # noqa: S106 - the parameter's name, not a token
                ca_cert_hashes=tuple(settings.require_object("caCertHashes")),
            ),
            access=Access(kind="kubeconfig"),
            region=pulumi.Config("aws").require("region"),
        ),
        pool="scratch",
        version="v1",
        nodes=NodeArgs(
            image_id=settings.require("imageId"),
            instance_type="m5.large",
            subnet_ids=[subnet for subnets in zone_subnets.values() for subnet in subnets],
            security_group_ids=settings.require_object("securityGroupIds"),
            kernel_arguments=["cgroup.memory=nokmem"],
            minimum_kernel="3.10.0-1062.4.1",
            role_policies=[],
            taints=["example.com/scratch=true:NoSchedule"],
            zones="each",
        ),
        size=SizeArgs(min=0, desired=3, max=6),
        zone_subnets=zone_subnets,
    ),
)

pulumi.export("groups", pool.group_names)
