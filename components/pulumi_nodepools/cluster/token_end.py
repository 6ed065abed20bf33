"""When the token that is written in a kubeconfig ends. What a command, a file or AWS gives anew has no end here."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from pulumi_nodepools.cluster.access import Access

_RENEWED = ("tokenFile", "auth-provider")
"""Where these are, the official loader does not look at the token."""


class _Claims(msgspec.Struct):
    exp: float | None = None


def of(access: Access) -> datetime | None:
    """The end of the token that `access` leads to; None if there is none, or it does not tell."""
    if access.kind != "kubeconfig":
        return None
    try:
        user = _user(access)
    except Exception:  # noqa: BLE001 -- what cannot be used was told by whoever connected; here it only tells no end
        return None
    return None if any(key in user for key in _RENEWED) else end_of(str(user.get("token") or ""))


def _user(access: Access) -> Mapping[str, Any]:
    from kubernetes.config.kube_config import KubeConfigMerger  # noqa: PLC0415 -- 280 ms, only with a cluster

    merged = KubeConfigMerger(access.kubeconfig()).config  # type: ignore[no-untyped-call]
    context = merged["contexts"].get_with_name(access.context or merged["current-context"])["context"]
    user: Mapping[str, Any] = merged["users"].get_with_name(context["user"])["user"].value
    return user


def end_of(token: str) -> datetime | None:
    """The `exp` of a JSON Web Token (RFC 7519); None for tokens of other kinds and without it."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), type=_Claims)
        return None if claims.exp is None else datetime.fromtimestamp(claims.exp, UTC)
    except (ValueError, OverflowError, OSError):
        return None
