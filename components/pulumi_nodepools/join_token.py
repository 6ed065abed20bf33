"""Whether the token that kubeadm nodes would join with is good: is it in the cluster, and when does it end.

Asked in every preview. The token itself stays here: only its public id is ever put into a message.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pulumi_nodepools.aws import stored
from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.bootstrap import KubeadmJoin
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.errors import AccessDeniedError, ApiError, AwsError

NEEDED = timedelta(minutes=30)
"""A node that is launched now reads its token within this time: two boots, and a launch that is tried again."""
COMFORTABLE = timedelta(hours=24)
"""With less than this left, nodes that are launched by an autoscaler tomorrow cannot join."""
_SECRETS = "/api/v1/namespaces/kube-system/secrets"
_RENEW = "make a new one (`kubeadm token create --ttl 48h`) and put it there"


@dataclass(frozen=True)
class Finding:
    """`stops`: a node that is launched now could not join."""

    message: str
    stops: bool


def check(session: Session, client: Client, join: KubeadmJoin) -> Finding | None:
    """What is wrong with the join token, or cannot be looked at; None when it is good for a day."""
    place = f"SSM parameter {join.token_parameter}" if join.token_parameter else f"secret {join.token_secret}"
    try:
        if join.token_parameter:
            token = stored.read_parameter(session, join.token_parameter)
        else:
            token = stored.read_secret(session, join.token_secret)
    except AccessDeniedError as denied:
        return Finding(f"the join token in {place} was not looked at: {denied}", stops=False)
    except AwsError as error:
        return Finding(f"the join token cannot be read from {place}: {error}. Nodes could not join", stops=True)
    found = re.fullmatch(r"([a-z0-9]{6})\.([a-z0-9]{16})", token.strip())
    if not found:
        return Finding(f"{place} does not hold a bootstrap token (like a1b2c3.…): {_RENEW}", stops=True)
    name = f"bootstrap-token-{found[1]}"
    try:
        secret = client.get(f"{_SECRETS}/{name}")
    except AccessDeniedError:
        return Finding(
            f"the join token {found[1]} of {place} was not looked at: these credentials may not get secret {name} in "
            "kube-system",
            stops=False,
        )
    except ApiError as error:
        if error.status != 404:
            raise
        return Finding(f"the join token {found[1]} of {place} is not in the cluster any more: {_RENEW}", stops=True)
    return judge(found[1], found[2], place, secret, datetime.now(UTC))


def judge(token_id: str, token_secret: str, place: str, secret: Mapping[str, Any], now: datetime) -> Finding | None:
    """The same for a token whose Secret was read; pure."""
    data = {
        name: base64.b64decode(value).decode("utf-8", "replace") for name, value in (secret.get("data") or {}).items()
    }
    what = f"the join token {token_id} of {place}"
    if data.get("token-secret") != token_secret:
        return Finding(f"{what} has another secret part in the cluster: {_RENEW}", stops=True)
    if data.get("usage-bootstrap-authentication") != "true":
        return Finding(f"{what} is not for authentication in the cluster: {_RENEW}", stops=True)
    return _time_left(what, data["expiration"], now) if data.get("expiration") else None


def _time_left(what: str, expiration: str, now: datetime) -> Finding | None:
    try:
        ends = datetime.fromisoformat(expiration)
        left = ends - now
    except (ValueError, TypeError):  # TypeError: a time without a zone
        return Finding(f"{what} ends at {expiration[:40]!r}, which is no time: {_RENEW}", stops=True)
    if left < NEEDED:
        when = "ended" if left < timedelta() else "ends"
        return Finding(f"{what} {when} at {ends.isoformat()}, and nodes could not join with it: {_RENEW}", stops=True)
    if left < COMFORTABLE:
        hours = left.total_seconds() / 3600
        return Finding(f"{what} ends in {hours:.0f} h; nodes launched after that cannot join: {_RENEW}", stops=False)
    return None
