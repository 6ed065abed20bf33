"""Whether a request to an AWS API is signed as AWS asks (Signature Version 4), judged by botocore's own signer.

moto takes any signature, so a node whose calls are signed wrongly would pass for one that works.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, "
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)
_NEEDED = {"host", "x-amz-date", "x-amz-security-token"}


@dataclass(frozen=True)
class Keys:
    """Credentials of a role, as an instance's metadata service hands them out."""

    access: str
    secret: str
    token: str


def fault(path: str, headers: Mapping[str, str], body: bytes, keys: Keys) -> str:
    """Why this POST is not one of the role's; empty when it is. Header names in lower case."""
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if not found:
        return "MissingAuthenticationToken: no signature"
    if found["key"] != keys.access or headers.get("x-amz-security-token") != keys.token:
        return "InvalidClientTokenId: not the credentials of the role"
    signed = found["headers"].split(";")
    if not set(signed) >= _NEEDED or found["day"] != headers["x-amz-date"][:8]:
        return f"SignatureDoesNotMatch: signed headers {signed}, at {headers.get('x-amz-date')}"
    signer = SigV4Auth(Credentials(keys.access, keys.secret, keys.token), found["service"], found["region"])
    request = AWSRequest("POST", f"http://{headers['host']}{path}", {name: headers[name] for name in signed}, body)
    request.context["timestamp"] = headers["x-amz-date"]
    wanted = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    return "" if wanted == found["signature"] else "SignatureDoesNotMatch: not what these keys make of this request"
