"""The states of a pool's versions, and which requests are refused with the order to do them in. Pure.

Canary: a small tainted group of its own beside the pool. Active: takes workloads. Standby: cordoned and drained,
instances kept, so that it serves again in seconds. Retired: its group is kept at 0. A version that is not listed is
drained and deleted.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from pulumi_nodepools.errors import ConfigError

State = Literal["canary", "active", "standby", "retired"]


def state_of(*, active: bool, canary: bool, retired: bool) -> State:
    """The state that is asked for; `contradictions` says when that makes no sense."""
    if canary:
        return "canary"
    if retired:
        return "retired"
    return "active" if active else "standby"


def contradictions(*, active: bool, canary: bool, retired: bool) -> Iterator[tuple[str, str]]:
    """What cannot be meant together, as (key, what to do)."""
    if active and canary:
        yield "canary", "stands on the active version; to promote it remove canary, to test it make another one active"
    if active and retired:
        yield (
            "retired",
            "stands on the active version; make another one active first, it is drained before it goes to 0",
        )
    if canary and retired:
        yield "retired", "stands beside canary; remove the version from the list when the canary is done"


def require_possible(pool: str, states: Mapping[str, State], existing: Collection[str]) -> None:
    """ConfigError for what the groups that exist do not allow. `existing`: versions that have their full groups."""
    problems = [
        f'  pools.{pool}.versions."{version}": {problem}'
        for version, state in states.items()
        if (problem := _impossible(state, version in existing))
    ]
    if problems:
        lines = "\n".join(problems)
        raise ConfigError(f"pool {pool} cannot get there in one step, nothing was changed:\n{lines}")


def _impossible(state: State, exists: bool) -> str:
    if state == "standby" and not exists:
        return (
            "is neither active nor a canary and has no group: there is nothing to keep. Make it active, or write "
            "canary: {count: 1}, or remove it from the list"
        )
    if state == "retired" and not exists:
        return "has no group: there is nothing to retire. Remove it from the list, or make it active"
    if state == "canary" and exists:
        return (
            "has its full group already and cannot become a canary again. Remove it from the list and run `pulumi up`, "
            "then list it as a canary; or make it active"
        )
    return ""
