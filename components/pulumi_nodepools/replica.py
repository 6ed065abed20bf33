"""Whether a version that is to take over is made like the one that serves, save for what a patch changes. Pure.

It compares what users wrote, in the form that locks keep. What is only known later (outputs) is not compared.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pulumi_nodepools.errors import ConfigError

PATCHED = ("imageId", "osFamily", "kernel", "taints")
"""What a new version is made for. Everything else must be acknowledged by name."""
FIELDS = (
    *("associatePublicIp", "instanceProfile", "instanceType", "kubelet", "labels", "rootVolume"),
    *("securityGroupIds", "spot", "startupTaint", "subnetIds", "tags", "userData", "zones"),
)
"""What may be acknowledged: every other field of a version's spec. How it joins the cluster is the cluster's."""


def replica_field(name: str) -> str:
    """The name of a field that may be acknowledged; ValueError if it is none."""
    if name not in FIELDS:
        raise ValueError(f'"{name}" is not a field that versions differ in; write some of {", ".join(FIELDS)}')
    return name


def comparable(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a version's spec in which its successor must be like it."""
    return {key: value for key, value in spec.items() if key in FIELDS and _plain(value)}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each field that differs, as (field, both values in words)."""
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield key, f"{key} {_text(old.get(key))} becomes {_text(new.get(key))}"


def require_replica(
    pool: str, active: str, serving: str, found: Collection[tuple[str, str]], acknowledged: Collection[str]
) -> None:
    """ConfigError for every difference that the user has not named under `differences`."""
    open_ = [(key, text) for key, text in found if key not in acknowledged]
    if open_:
        named = ", ".join(key for key, _ in open_)
        raise ConfigError(
            f"pool {pool}: version {active} differs from {serving}, which serves, in more than a patch: "
            f"{'; '.join(text for _, text in open_)}. If that is meant, write differences: [{named}] on the pool; "
            "nothing was changed"
        )


def _plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_plain(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(_plain(item) for item in value)
    return value is None or isinstance(value, str | int | float | bool)


def _text(value: Any) -> str:
    if value is None:
        return "(not set)"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
