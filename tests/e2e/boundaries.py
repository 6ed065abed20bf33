"""The phase boundaries of a replacement, each told by the request with which the next phase begins."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.engine_case import NEW, OLD
from tests.relay import Asked, Journal

Old = Literal["standby", "retired", "removed"]


@dataclass(frozen=True)
class Boundary:
    """`begins` says of a request of the pool whether it begins the next phase, given all that was asked before."""

    name: str
    begins: Callable[[str, Asked, Journal], bool]
    old: Old = "standby"
    """What becomes of the old version."""
    orphans: bool = False
    """Delivered after its engine's death, the request makes something that no state knows of."""

    def holds(self, pool: str, journal: Journal) -> Callable[[Asked], bool]:
        return lambda asked: self.begins(pool, asked, journal)


def _recorded(phase: str) -> Callable[[str, Asked, Journal], bool]:
    return lambda _pool, asked, _journal: asked.phase == phase


def _aws(action: str, version: str, **parameters: str) -> Callable[[str, Asked, Journal], bool]:
    def begins(pool: str, asked: Asked, _journal: Journal) -> bool:
        wanted = {"Action": action, "AutoScalingGroupName": f"prod-{pool}-{version}", **parameters}
        return asked.service == "aws" and wanted.items() <= asked.body.items()

    return begins


def evicting(journal: Journal, *, after: int) -> Callable[[Asked], bool]:
    """Any eviction, once so many were accepted."""
    return lambda asked: bool(asked.evicts) and len(journal.evicted()) >= after


def _evicting(after: int) -> Callable[[str, Asked, Journal], bool]:
    return lambda _pool, asked, journal: evicting(journal, after=after)(asked)


def _terminating(_pool: str, asked: Asked, _journal: Journal) -> bool:
    return asked.service == "aws" and asked.body.get("Action") == "TerminateInstanceInAutoScalingGroup"


PROMOTION = (
    Boundary("green-launched", _aws("CreateAutoScalingGroup", NEW), orphans=True),
    Boundary("gate-begun", _recorded(f"gate {NEW}")),
    Boundary("floor-held", _aws("UpdateAutoScalingGroup", NEW, MinSize="2")),
    Boundary("gate-passed", _recorded(f"ready {NEW}")),
    Boundary("serving-recorded", _recorded(f"cutover {NEW}")),
    Boundary("drain-recorded", _recorded(f"drain {OLD}")),
    Boundary("blue-frozen", _aws("SuspendProcesses", OLD)),
    Boundary("nodes-cordoned", lambda _pool, asked, _journal: bool(asked.cordons)),
    Boundary("first-eviction", _evicting(after=0)),
    Boundary("half-evicted", _evicting(after=2)),
    Boundary("floor-released", _aws("UpdateAutoScalingGroup", NEW, MinSize="1")),
    Boundary("blue-drained", _recorded(f"drained {OLD}")),
    Boundary("blue-emptied", _terminating, old="retired"),
    Boundary("cutover-concluded", _recorded("serving")),
)
REMOVAL = (
    Boundary("hook-begun", _recorded(f"drain {OLD}"), old="removed"),
    Boundary("hook-evicting", _evicting(after=2), old="removed"),
    Boundary("hook-done", _recorded(f"drained {OLD}"), old="removed"),
    Boundary("group-emptied", _aws("UpdateAutoScalingGroup", OLD, MinSize="0"), old="removed"),
    Boundary("group-deleted", _aws("DeleteAutoScalingGroup", OLD), old="removed"),
)
