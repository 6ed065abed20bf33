"""The stack: reads `nodepools:cluster` and `nodepools:pools`, builds one BlueGreenNodePool for each pool."""

import pulumi

from pulumi_nodepools import BlueGreenNodePool, BlueGreenNodePoolArgs, ClusterArgs, ConfigError, DrainerAccess, load


def main() -> None:
    """Build every pool of the stack and export what is there."""
    config = load(pulumi.Config("nodepools"))
    cluster = ClusterArgs.from_config(config.cluster, pulumi.Config("aws").require("region"))
    drainer = DrainerAccess("nodepools-drainer", cluster)
    wanted = {
        name: BlueGreenNodePoolArgs.from_config(cluster, name, pool, drainer.resources)
        for name, pool in config.pools.items()
    }
    pools = {name: BlueGreenNodePool(name, args) for name, args in wanted.items()}
    pulumi.export("active", {name: pool.active for name, pool in config.pools.items()})
    pulumi.export("groups", {name: pool.group_names for name, pool in pools.items()})
    pulumi.export("nodes", {name: pool.nodes for name, pool in pools.items()})


try:
    main()
except ConfigError as error:
    raise pulumi.RunError(str(error)) from None
