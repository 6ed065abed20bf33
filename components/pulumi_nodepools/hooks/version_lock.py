"""VersionLock: a version of a pool, once created, never changes.

Its check runs in previews and in `up --skip-preview` before anything is changed. It compares what the user wrote, never
rendered text, so that a new release of this library neither changes nor locks existing pools.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, Resource

from pulumi_nodepools.hooks.boundary import boundary
from pulumi_nodepools.hooks.provider import EchoProvider, hidden, plain, unknown

_UNSET = "(not set)"


class LockProvider(EchoProvider):
    """Refuses a changed `spec`; everything else is an echo."""

    identity = ("pool", "version")
    settings = ("schemaVersion", "spec")

    @boundary
    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        if (olds.get("pool"), olds.get("version")) != (news.get("pool"), news.get("version")):
            return CheckResult(news, [])
        moved = list(differences(olds.get("spec") or {}, news.get("spec") or {}))
        if not moved:
            return CheckResult(news, [])
        text = ", ".join(f"{field} changed from {old} to {new}" for field, old, new in moved)
        reason = f"version {news.get('version')} is immutable: {text}; add a new version"
        return CheckResult(news, [CheckFailure("", reason)])


class VersionLock(Resource, module="nodepools", name="VersionLock"):
    """Props: `{schemaVersion, pool, version, spec}`, where `spec` is what the user wrote in canonical form."""

    def __init__(self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(LockProvider(), name, dict(props), hidden(opts))


def differences(old: Any, new: Any, field: str = "") -> Iterator[tuple[str, str, str]]:
    """Each leaf that differs as (field, old text, new text); what is not known yet is not compared."""
    if _nested(old, new) or _nested(new, old):
        olds, news = old or {}, new or {}
        for key in sorted({*olds, *news}):
            yield from differences(olds.get(key), news.get(key), f"{field}.{key}" if field else key)
    elif not unknown(new) and plain(old) != plain(new):
        yield field, _text(old), _text(new)


def _nested(one: Any, other: Any) -> bool:
    return isinstance(one, Mapping) and (other is None or isinstance(other, Mapping))


def _text(value: Any) -> str:
    if value is None:
        return _UNSET
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    return str(plain(value))
