"""Cutover: one per pool; takes the active version into service and drains the other listed ones.

It acts when the gate's `generation`, the list of other versions or their states change, and when the cluster remembers
a switch that did not come to its end. Deleting it says that no version of the pool serves any more.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from pulumi_nodepools.hooks.boundary import boundary
from pulumi_nodepools.hooks.progress import Engine
from pulumi_nodepools.hooks.provider import EchoProvider, changed, echo, hidden, with_pending
from pulumi_nodepools.hooks.skip import RECORD, skipped

_MOVES = ("active", "proved", "generation", "others")


class CutoverProvider(EchoProvider):
    """Acts on create, and on an update that changes who serves or who stands by."""

    identity: ClassVar[tuple[str, ...]] = ("pool", "clusterUid")
    settings: ClassVar[tuple[str, ...]] = (
        *_MOVES,
        *("schemaVersion", "cluster", "account", "region", "access", "groups", "drain"),
    )

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        return with_pending(super().diff(_id, olds, news), news)

    @boundary
    def create(self, props: dict[str, Any]) -> CreateResult:
        _cut_over(props)
        return CreateResult(self.id_of(props), echo(props))

    @boundary
    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        if changed(olds, news, _MOVES) or news.get("pending"):
            _cut_over(news)
        return UpdateResult(echo(news))

    @boundary
    def delete(self, _id: str, props: dict[str, Any]) -> None:
        if not skipped(props, RECORD):
            from pulumi_nodepools.hooks import cutting_over  # noqa: PLC0415

            cutting_over.clear_serving(props, Engine.of_this_process())


class Cutover(Resource, module="nodepools", name="Cutover"):
    """Props: schemaVersion, cluster, clusterUid, account, region, access, pool, active, proved, generation, groups,
    others (`[{version, state, groups}]`), drain (settings), replica, pending, urn."""

    def __init__(self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(CutoverProvider(), name, dict(props), hidden(opts))


def _cut_over(props: Mapping[str, Any]) -> None:
    # Here and not above: a program only registers cutovers and must not pay for the engine room.
    from pulumi_nodepools.hooks import cutting_over  # noqa: PLC0415

    cutting_over.cut_over(props, Engine.of_this_process())
