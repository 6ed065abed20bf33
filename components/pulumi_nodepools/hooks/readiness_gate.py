"""ReadinessGate: one per pool and one per canary; done once the version is ready and proved.

`generation` rises whenever `active` changes, for what must follow a switch: the smoke test, and the cutover, which
alone records who serves.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from pulumi_nodepools.hooks.boundary import boundary
from pulumi_nodepools.hooks.progress import Engine
from pulumi_nodepools.hooks.provider import EchoProvider, changed, echo, hidden, require_known, with_pending

_PROOF = ("active", "groups", "kernelArguments", "minimumKernelVersion")


class GateProvider(EchoProvider):
    """Waits on create, and on an update that changes what must be proved."""

    identity: ClassVar[tuple[str, ...]] = ("pool", "clusterUid")
    settings: ClassVar[tuple[str, ...]] = (
        *_PROOF,
        *(
            "schemaVersion",
            "cluster",
            "account",
            "region",
            "access",
            "timeout",
            "consecutive",
            "interval",
            "canary",
            "adopted",
        ),
    )

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        return with_pending(super().diff(_id, olds, news), news)

    @boundary
    def create(self, props: dict[str, Any]) -> CreateResult:
        _pass_gate(props)
        return CreateResult(self.id_of(props), {**echo(props), "generation": 1})

    @boundary
    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        if changed(olds, news, _PROOF) or news.get("pending"):
            _pass_gate(news)
        generation = int(olds.get("generation") or 1) + (1 if changed(olds, news, ("active",)) else 0)
        return UpdateResult({**echo(news), "generation": generation})


class ReadinessGate(Resource, module="nodepools", name="ReadinessGate"):
    """Props: cluster, clusterUid, account, region, access, pool, active, groups, kernelArguments,
    minimumKernelVersion, timeout, consecutive, interval, canary, adopted, limits, written, hook (its id),
    pending, urn."""

    active: pulumi.Output[str]
    generation: pulumi.Output[int]

    def __init__(self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        # Named with no value, so that the SDK makes an output of what only the provider knows.
        super().__init__(GateProvider(), name, {"generation": None, **props}, hidden(opts))


def _pass_gate(props: Mapping[str, Any]) -> None:
    require_known(props, "hook")
    # Here and not above: a program only registers gates and must not pay for the engine room.
    from pulumi_nodepools.hooks import gate  # noqa: PLC0415

    gate.pass_gate(props, Engine.of_this_process())
