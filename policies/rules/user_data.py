"""Takes EC2 user data apart: base64, perhaps gzip, perhaps multipart MIME, as cloud-init would.

Never raises on odd input: whoever asked gets a `Problem` to report. What the parts mean is left to the rules.
"""

import base64
import binascii
import email
import email.message
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

BOOTHOOK = "text/cloud-boothook"
CONFIG = "text/cloud-config"
SCRIPT = "text/x-shellscript"
MAX_INFLATED = 1 << 20
"""User data is at most 16 KiB; what unpacks to more than this is not user data."""

_FIRST_LINES = (
    ("#cloud-boothook", BOOTHOOK),
    ("#cloud-config", CONFIG),
    ("#!", SCRIPT),
)
_SNIFFED = {"text/plain", "text/x-not-multipart", "application/octet-stream"}


@dataclass(frozen=True)
class Part:
    """One piece of user data; `type` is its MIME type, taken from the first line where none is declared."""

    type: str
    text: str


@dataclass(frozen=True)
class Problem:
    """Why user data cannot be read. Quotes nothing of it: user data may hold secrets."""

    reason: str


def raw(value: object) -> bytes | Problem:
    """What EC2 hands to the instance: `userData` without its base64, still compressed."""
    if not isinstance(value, str) or not value.strip():
        return Problem("it is empty" if value in (None, "") else "it is not a text")
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return Problem("it is not base64, which a launch template requires")


def decode(value: object) -> tuple[Part, ...] | Problem:
    """The parts of a launch template's `userData`."""
    data = raw(value)
    if isinstance(data, Problem):
        return data
    text = _inflated(data)
    return text if isinstance(text, Problem) else _parts(text)


def _inflated(data: bytes) -> str | Problem:
    if data[:2] == b"\x1f\x8b":
        unpacker = zlib.decompressobj(wbits=31)
        try:
            data = unpacker.decompress(data, MAX_INFLATED)
        except zlib.error:
            return Problem("its gzip data is damaged")
        if not unpacker.eof:
            return Problem(f"its gzip data is cut off or unpacks to more than {MAX_INFLATED} bytes")
    return data.decode("utf-8", errors="replace")


def _parts(text: str) -> tuple[Part, ...] | Problem:
    if "mime-version:" not in text[:4096].lower():  # cloud-init's own test
        return (Part(_sniff(text, "text/plain"), text),)
    head = text.lstrip("\ufeff \r\n")
    message = email.message_from_string(head)
    if message.get_content_maintype() == "multipart" and not message.is_multipart():
        return Problem("it says it is multipart MIME but its boundary is never used")
    parts: list[Part] = []
    for leaf in _leaves(message):
        payload = leaf.get_payload(decode=True)
        content = _inflated(payload if isinstance(payload, bytes) else b"")
        if isinstance(content, Problem):
            return content
        parts.append(Part(_sniff(content, leaf.get_content_type()), content))
    return tuple(parts)


def _leaves(message: email.message.Message) -> Iterator[email.message.Message]:
    return (part for part in message.walk() if not part.is_multipart())


def _sniff(text: str, declared: str) -> str:
    """Cloud-init goes by the first line where the declared type says nothing."""
    if declared.lower() not in _SNIFFED:
        return declared.lower()
    start = text.lstrip("\ufeff \t\r\n")
    return next((kind for prefix, kind in _FIRST_LINES if start.startswith(prefix)), declared.lower())
