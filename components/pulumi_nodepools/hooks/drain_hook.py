"""DrainHook: acts only on delete, so that nothing it stands before is destroyed undrained.

Give it a dependency on exactly the groups it drains. Create and update only remember; draining.py drains.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import pulumi
from pulumi.dynamic import Resource

from pulumi_nodepools.hooks.boundary import boundary
from pulumi_nodepools.hooks.progress import Engine
from pulumi_nodepools.hooks.provider import EchoProvider, hidden
from pulumi_nodepools.hooks.skip import skipped


class DrainProvider(EchoProvider):
    """Remembers whom to drain, and drains them when it is deleted."""

    identity: ClassVar[tuple[str, ...]] = ("pool", "version", "groups", "clusterUid", "account")
    settings: ClassVar[tuple[str, ...]] = ("schemaVersion", "cluster", "region", "access", "drain")

    @boundary
    def delete(self, _id: str, props: dict[str, Any]) -> None:
        if not skipped(props):
            # Here and not above: a program only registers hooks and must not pay for the engine room.
            from pulumi_nodepools.hooks.draining import drain_version  # noqa: PLC0415

            drain_version(props, Engine.of_this_process())


class DrainHook(Resource, module="nodepools", name="DrainHook"):
    """Props: schemaVersion, cluster, clusterUid, account, region, access, pool, version, groups (`[{name, arn}]`),
    drain (settings), urn."""

    def __init__(self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(DrainProvider(), name, dict(props), hidden(opts))
