"""SoakGate: one per pool; a version is promoted only on the evidence of its soak.

It never waits. Its check judges the evidence in previews and in `up`, before anything that depends on it is created;
its create and update judge once more, and put the verdict into the state.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, Resource, UpdateResult

from pulumi_nodepools.hooks.boundary import boundary
from pulumi_nodepools.hooks.progress import Engine
from pulumi_nodepools.hooks.provider import EchoProvider, changed, echo, hidden, unknown

_SUBJECT = ("version", "image", "spec")
_NEEDED = (*_SUBJECT, "pool", "clusterUid", "duration", "runs", "failureRate")


class SoakGateProvider(EchoProvider):
    """Refuses a version whose soak was not passed, unless it was passed before, or is excused with a reason."""

    identity: ClassVar[tuple[str, ...]] = ("pool", "clusterUid")
    settings: ClassVar[tuple[str, ...]] = (
        *_SUBJECT,
        *("schemaVersion", "cluster", "access", "duration", "runs", "failureRate", "windows", "override"),
    )

    @boundary
    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        # Old inputs are there only once a create or update has succeeded: then the subject was judged.
        settled = bool(olds) and not changed(olds, news, _SUBJECT)
        if settled or any(unknown(news.get(key)) for key in _NEEDED):
            return CheckResult(news, [])
        refusal = _judged(news).refusal
        return CheckResult(news, [CheckFailure("", refusal)] if refusal else [])

    @boundary
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(self.id_of(props), {**echo(props), "verdict": _settled(props)})

    @boundary
    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        verdict = _settled(news) if changed(olds, news, _SUBJECT) else olds.get("verdict")
        return UpdateResult({**echo(news), "verdict": verdict})


class SoakGate(Resource, module="nodepools", name="SoakGate"):
    """Props: schemaVersion, cluster, clusterUid, access, pool, version, image, spec (digest of what was written),
    duration (seconds), runs, failureRate (0 to 1), windows (seconds by signature set), override (a reason, or ""),
    exempt (why no soak is asked for, or ""), urn."""

    verdict: pulumi.Output[dict[str, Any]]

    def __init__(self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        # Named with no value, so that the SDK makes an output of what only the provider knows.
        super().__init__(SoakGateProvider(), name, {"verdict": None, **props}, hidden(opts))


def _judged(props: Mapping[str, Any]) -> Any:
    # Here and not above: a program only registers gates and must not pay for the engine room.
    from pulumi_nodepools.hooks import soak_judging  # noqa: PLC0415

    return soak_judging.judged(props)


def _settled(props: Mapping[str, Any]) -> dict[str, Any]:
    from pulumi_nodepools.hooks import soak_judging  # noqa: PLC0415

    return soak_judging.settle(props, Engine.of_this_process())
