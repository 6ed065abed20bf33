"""What rolls, and the stage in the engine's place, asked of AWS, by AWS's own log; judging it is pure.

A roll only looks at groups, freezes and thaws them, and sets their sizes. Groups are deleted by the engine, here by the
stage in its place, and only once the hook has called their nodes empty.
"""

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.aws import identities

_LOOKS = ("Describe", "Get", "Simulate")
_MAY = frozenset(
    f"autoscaling:{action}"
    for action in ("SuspendProcesses", "ResumeProcesses", "UpdateAutoScalingGroup", "SetDesiredCapacity")
)
_ENDS = frozenset(
    f"autoscaling:{action}" for action in ("DeleteAutoScalingGroup", "TerminateInstanceInAutoScalingGroup")
)


class AwsLog:
    """Names callers to the simulated AWS, by their access keys, and reads what it wrote down of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._callers: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def name(self, caller: str, policy: Mapping[str, Any]) -> None:
        """From now on the caller has these rights, and what he asks for is written down."""
        file = self._folder / f"policy-{caller}.json"
        file.write_text(json.dumps(policy))
        with self._lock:
            self._callers[caller] = [str(file)]
            part = self._folder / "identities.part"
            part.write_text(json.dumps(self._callers))
            part.replace(self._folder / identities.FILE)

    def read(self, since: float) -> list[dict[str, Any]]:
        """Each request from that time on: time, caller, action, resource, and whether it was allowed."""
        lines = map(json.loads, (self._folder / identities.LOG).read_text().splitlines())
        return [line for line in lines if line["time"] >= since]


def judge(
    lines: Sequence[Mapping[str, Any]], caller: str, groups: Mapping[str, str], *, serving: str, emptied: float | None
) -> list[str]:
    """What should never have been asked for. `groups` are names by version, `emptied` is when the hook had ended."""
    own = {name: version for version, name in groups.items()}
    mine = [line for line in lines if line["caller"] == caller]
    about = [line for line in lines if _group(line) in own]
    return [
        *(f"{caller} was refused {_told(line)}, which docs/iam does not grant" for line in mine if not line["allowed"]),
        *(f"{caller} asked for {_told(line)}" for line in mine if not _may(line, own)),
        *(
            f"{_told(line)} came before its nodes were empty"
            for line in about
            if line["action"] in _ENDS and (emptied is None or line["time"] < emptied)
        ),
        *_suspended(about, groups[serving]),
    ]


def _may(line: Mapping[str, Any], own: Mapping[str, str]) -> bool:
    if line["action"].partition(":")[2].startswith(_LOOKS):
        return True
    return line["action"] in _MAY and _group(line) in own


def _suspended(about: Sequence[Mapping[str, Any]], serving: str) -> Iterable[str]:
    """The last word on a group that serves must not be a suspension; resuming names what was suspended."""
    words = [line["action"].partition(":")[2] for line in about if _group(line) == serving and line["allowed"]]
    last = next((word for word in reversed(words) if word in ("SuspendProcesses", "ResumeProcesses")), "")
    if last == "SuspendProcesses":
        yield f"{serving} serves, and nobody resumed what was suspended there"


def _group(line: Mapping[str, Any]) -> str:
    return str(line["resource"]).rpartition("autoScalingGroupName/")[2]


def _told(line: Mapping[str, Any]) -> str:
    return f"{line['action']} of {_group(line) or 'nothing in particular'}"
