"""Reading user data the way cloud-init does, and never raising on what people put there."""

import base64
import gzip
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.rules.user_data import BOOTHOOK, MAX_INFLATED, Part, Problem, decode


def encoded(data: str | bytes) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def mime(*parts: tuple[str, str], charset: str = "us-ascii") -> str:
    message = MIMEMultipart(boundary="==nodepools==")
    for subtype, text in parts:
        message.attach(MIMEText(text, subtype, charset))
    return message.as_string()


def test_multipart_mime_gives_its_parts_in_order():
    text = mime(("cloud-boothook", "#cloud-boothook\n#!/bin/sh\n"), ("x-shellscript", "#!/bin/sh\n"))
    parts = decode(encoded(text))
    assert [part.type for part in parts] == [BOOTHOOK, "text/x-shellscript"]


def test_base64_transfer_encoding_and_nested_multipart_are_undone():
    outer = MIMEMultipart()
    inner = MIMEMultipart()
    inner.attach(MIMEText("#cloud-boothook\nécho", "cloud-boothook", "utf-8"))
    outer.attach(inner)
    assert decode(encoded(outer.as_string())) == (Part(BOOTHOOK, "#cloud-boothook\nécho"),)


def test_gzip_is_unpacked():
    assert decode(encoded(gzip.compress(b"#!/bin/sh\n"))) == (Part("text/x-shellscript", "#!/bin/sh\n"),)


@pytest.mark.parametrize(
    ("first_line", "kind"),
    [
        ("#cloud-boothook", BOOTHOOK),
        ("#cloud-config", "text/cloud-config"),
        ("#!/bin/bash", "text/x-shellscript"),
        ("hello", "text/plain"),
    ],
)
def test_the_first_line_tells_the_type_of_a_single_part(first_line, kind):
    assert decode(encoded(first_line + "\nx\n")) == (Part(kind, first_line + "\nx\n"),)


def test_a_text_plain_part_is_typed_by_its_first_line():
    assert decode(encoded(mime(("plain", "#cloud-boothook\n"))))[0].type == BOOTHOOK


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "it is empty"),
        ("", "it is empty"),
        (7, "it is not a text"),
        ("#!/bin/sh\necho", "it is not base64, which a launch template requires"),
        ("é", "it is not base64, which a launch template requires"),
        (encoded(gzip.compress(b"abc")[:-6]), "its gzip data is cut off or unpacks to more than 1048576 bytes"),
        (
            encoded(gzip.compress(b"0" * (MAX_INFLATED + 1))),
            "its gzip data is cut off or unpacks to more than 1048576 bytes",
        ),
        (encoded(b"\x1f\x8b" + b"nonsense"), "its gzip data is damaged"),
        (
            encoded("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\nno boundary"),
            "it says it is multipart MIME but its boundary is never used",
        ),
    ],
)
def test_what_cannot_be_read_is_a_problem_with_its_reason(value, reason):
    assert decode(value) == Problem(reason)


@given(st.binary(max_size=400))
def test_no_bytes_make_it_raise(data):
    decode(encoded(data))
    decode(encoded(b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n" + data))
    decode(encoded(gzip.compress(data)))


@given(st.text(max_size=200))
def test_no_text_makes_it_raise(text):
    decode(text)
