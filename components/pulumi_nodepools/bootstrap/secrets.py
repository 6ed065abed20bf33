"""Finds secrets in text that will become user data, which every process on the node can read. Never quotes one."""

import base64
import binascii
import re
from collections.abc import Iterator

ADVICE = "user data is no secret; have the node fetch it at boot, with its role, from SSM or Secrets Manager"

_KINDS = (
    ("an AWS access key", re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])")),
    (
        "an AWS secret access key",
        re.compile(r"(?i)secret_?access_?key[\"']?\s*[:=]\s*[\"']?[a-z0-9/+=]{40}(?![a-z0-9/+=])"),
    ),
    # A file or a host may have a name of six and sixteen characters with a dot between, but seldom one with digits.
    (
        "a kubeadm join token",
        re.compile(r"(?<![A-Za-z0-9._/-])[a-z0-9]{6}\.(?=[a-z]*[0-9])[a-z0-9]{16}(?![A-Za-z0-9._/-])"),
    ),
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
)
# Base64 of "-----BEGIN ", as write_files and kubeconfig files carry PEM.
_ENCODED_PEM = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/]{24,}")


def find(text: str) -> Iterator[tuple[int, str]]:
    """(line, kind) of every secret in `text`; lines count from 1."""
    for number, line in enumerate(text.splitlines(), start=1):
        for kind, pattern in _KINDS:
            if pattern.search(line) or (kind == "a private key" and _encoded(line, pattern)):
                yield number, kind


def _encoded(line: str, pattern: re.Pattern[str]) -> bool:
    return any(pattern.search(_decoded(found.group())) for found in _ENCODED_PEM.finditer(line))


def _decoded(word: str) -> str:
    try:
        return base64.b64decode(word[: len(word) // 4 * 4]).decode("latin-1")
    except binascii.Error:
        return ""
