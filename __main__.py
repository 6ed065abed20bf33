"""The stack: reads `nodepools:cluster` and `nodepools:pools`, builds one BlueGreenNodePool for each pool."""

import sys
from dataclasses import replace

import pulumi

from pulumi_nodepools import (
    BlueGreenNodePool,
    BlueGreenNodePoolArgs,
    ClusterArgs,
    ConfigError,
    DrainerAccess,
    StartupValidator,
    create_soak_tests,
    load,
    surveyed,
)

ALREADY_SHOWN = 32
"""Exit code by which a program tells Pulumi's Python host that the user has seen why it stopped. With any other one the
host adds an error of its own that says nothing."""


def main() -> None:
    """Build every pool of the stack and export what is there."""
    config = load(pulumi.Config("nodepools"))
    cluster = ClusterArgs.from_config(config.cluster, pulumi.Config("aws").require("region"))
    wanted = {
        name: surveyed(BlueGreenNodePoolArgs.from_config(cluster, name, pool)) for name, pool in config.pools.items()
    }
    # Only now, when nothing stands in the way of any pool: what is registered is created at once.
    drains = [pool.drain for pool in config.pools.values()]
    drainer = DrainerAccess(
        "nodepools-drainer",
        cluster,
        force=any(drain.on_timeout == "force" for drain in drains),
        surge=any(drain.single_replicas == "surge" for drain in drains),
    )
    validators = {
        name: StartupValidator(f"{name}-startup", name, wanted[name].versions, pool.startup_validator.image)
        for name, pool in config.pools.items()
        if pool.startup_validator
    }
    before = {
        name: [*drainer.resources, *(validators[name].resources if name in validators else [])] for name in wanted
    }
    pools = {
        name: BlueGreenNodePool(name, replace(args, group_depends_on=before[name])) for name, args in wanted.items()
    }
    create_soak_tests(wanted, {name: pool.canaries for name, pool in pools.items()})
    pulumi.export("active", {name: pool.active for name, pool in config.pools.items()})
    pulumi.export("groups", {name: pool.group_names for name, pool in pools.items()})
    pulumi.export("nodes", {name: pool.nodes for name, pool in pools.items()})


try:
    main()
except (ConfigError, pulumi.RunError) as error:
    pulumi.log.error(str(error))
    sys.exit(ALREADY_SHOWN)
