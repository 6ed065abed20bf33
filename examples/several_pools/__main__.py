"""As many pools as the stack's YAML lists; Pulumi.prod.yaml has two. To patch one, write a new version there.

Every pool is looked at before anything is registered, so that what is wrong with one stops all.
"""

from dataclasses import replace

import pulumi

from pulumi_nodepools import BlueGreenNodePool, BlueGreenNodePoolArgs, ClusterArgs, DrainerAccess, load, surveyed

config = load(pulumi.Config("nodepools"))
cluster = ClusterArgs.from_config(config.cluster, pulumi.Config("aws").require("region"))
pools = [surveyed(BlueGreenNodePoolArgs.from_config(cluster, name, pool)) for name, pool in config.pools.items()]

rights = DrainerAccess("nodepools-drainer", cluster)
for args in pools:
    BlueGreenNodePool(args.pool, replace(args, group_depends_on=rights.resources))
