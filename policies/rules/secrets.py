"""No secrets in user data: every process on the node and everybody who may describe templates can read it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .rule import UNKNOWN, Severity
from .subjects import Answer, NotYet, template_rule
from .user_data import Problem, decode

Props = Mapping[str, Any]
PATTERNS = {
    "an AWS access key": re.compile(r"(?<![A-Za-z0-9+/])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9+/])"),
    # A digit in the second half keeps host names out.
    "a bootstrap token": re.compile(r"(?<![A-Za-z0-9.+/-])[a-z0-9]{6}\.(?=[a-z]*[0-9])[a-z0-9]{16}(?![A-Za-z0-9.+/-])"),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----"),
}


def check(props: Props, _config: Props, _pool: Props) -> Iterator[Answer]:
    """One answer for each kind of secret in any part; the secret is never quoted."""
    data = props.get("userData")
    if data is UNKNOWN:
        yield NotYet("its user data is unknown before the update")
        return
    parts = decode(data)
    if isinstance(parts, Problem):
        if data:
            yield NotYet(f"its user data cannot be read ({parts.reason}), so it cannot be searched for secrets")
        return
    for what, pattern in PATTERNS.items():
        if any(pattern.search(part.text) for part in parts):
            yield f"its user data holds {what}, for every process on the node to read."


RULES = (
    template_rule(
        check,
        name="nodepools-launch-template-secrets",
        description="User data holds no secrets.",
        why="Pods without a network policy read it from instance metadata, and it stays in every template version.",
        fix="Let the node fetch the secret with its own role (SSM SecureString), and rotate the one that was here.",
        example="join: {kind: kubeadm, tokenParameter: /nodepools/prod/join-token}",
        link="https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html",
        severity=Severity.CRITICAL,
    ),
)
