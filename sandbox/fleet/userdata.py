"""What an instance was told at launch, taken apart as cloud-init does. Nothing is run here."""

import base64
import email
import gzip
import zlib
from dataclasses import dataclass

BOOTHOOK = "text/cloud-boothook"
SCRIPT = "text/x-shellscript"
NODEADM = "application/node.eks.aws"
_HEADER = "#cloud-boothook"


class UserDataError(Exception):
    """An instance's user data is something that these instances cannot run; the message says what."""


@dataclass(frozen=True)
class Part:
    name: str
    text: str


@dataclass(frozen=True)
class UserData:
    boothooks: tuple[Part, ...]
    """In the order of the document, which is the order they run in."""
    scripts: tuple[Part, ...]
    """Sorted by file name: cloud-init hands them to run-parts."""
    node_configs: tuple[Part, ...] = ()
    """Not cloud-init's: what nodeadm reads in the images that have it."""


def parse(encoded: str) -> UserData:
    """Take apart the value of DescribeInstanceAttribute: one layer of base64 around MIME, or around one script."""
    try:
        data = base64.b64decode(encoded, validate=True)
        text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode()
    except (ValueError, OSError, EOFError, zlib.error) as error:  # what base64, gzip and UTF-8 have for damage
        raise UserDataError(f"user data is not base64 of text, plain or gzip: {error}") from None
    if not text:
        return UserData((), ())
    if text.startswith("#!"):
        return UserData((), (Part("part-001", text),))
    if not text.startswith(("MIME-Version:", "Content-Type:")):
        raise UserDataError(f"user data is neither multipart MIME nor a script: it begins {text[:40]!r}")
    return _from_mime(text)


def _from_mime(text: str) -> UserData:
    found: dict[str, list[Part]] = {BOOTHOOK: [], SCRIPT: [], NODEADM: []}
    for number, part in enumerate(email.message_from_string(text).walk()):
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        if kind not in found:
            raise UserDataError(f"user data has a part of type {kind}; known here: {', '.join(found)}")
        body = part.get_payload(decode=True)
        content = body.decode() if isinstance(body, bytes) else ""
        name = part.get_filename() or f"part-{number:03}"
        found[kind].append(Part(name, content.removeprefix(_HEADER).lstrip()))
    scripts = tuple(sorted(found[SCRIPT], key=lambda part: part.name))
    return UserData(tuple(found[BOOTHOOK]), scripts, tuple(found[NODEADM]))
