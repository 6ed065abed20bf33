"""Puts parts together into one multipart document, and makes it fit into what EC2 accepts.

What the parts are is the caller's business. The same parts give the same text.
"""

import base64
import gzip
import textwrap
from collections.abc import Sequence

MAX_BYTES = 16384
"""What EC2 accepts, counted before base64."""

_BOUNDARY = "==nodepools-boundary=="

Section = tuple[str, str, str]
"""Content type, file name, text."""


def multipart(sections: Sequence[Section]) -> str:
    """A multipart/mixed document in plain ASCII, its parts in the given order."""
    lines = ["MIME-Version: 1.0", f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"', ""]
    for kind, filename, body in sections:
        charset, encoding, text = _encoded(body)
        lines += [
            f"--{_BOUNDARY}",
            f'Content-Type: {kind}; charset="{charset}"',
            f"Content-Transfer-Encoding: {encoding}",
            f'Content-Disposition: attachment; filename="{filename}"',
            "",
            text,
        ]
    return "\n".join([*lines, f"--{_BOUNDARY}--", ""])


def fitted(text: str) -> bytes | None:
    """`text` as it is, or compressed when it is larger than EC2 accepts; None when even that is too large.

    Compressed only then: plain text can be read where AWS shows it, and older nodeadm takes nothing else.
    """
    plain = text.encode()
    if len(plain) <= MAX_BYTES:
        return plain
    small = compressed(text)
    return small if len(small) <= MAX_BYTES else None


def compressed(text: str) -> bytes:
    """gzip without a time stamp: the same bytes for the same text, as long as zlib does not change."""
    return gzip.compress(text.encode(), mtime=0)


def _encoded(body: str) -> tuple[str, str, str]:
    if body.isascii() and f"--{_BOUNDARY}" not in body:
        return "us-ascii", "7bit", body
    words = base64.b64encode(body.encode()).decode()
    return "utf-8", "base64", "\n".join(textwrap.wrap(words, 76)) + "\n"
