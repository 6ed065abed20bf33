"""What the chaos proxy has to know of the servers behind it: of which kinds a request is, and how each one refuses."""

import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from sandbox.aws.gatekeeper import called, refusal

_EVICTION = re.compile(r"/api/v1/namespaces/[^/]+/pods/[^/]+/eviction")
_AWS = {
    "throttled": (400, "Throttling", "Rate exceeded"),
    "error": (500, "InternalFailure", "An internal error has occurred"),
    "expired-token": (403, "ExpiredToken", "The security token included in the request is expired"),
}
_KUBERNETES = {
    "throttled": (429, "TooManyRequests"),
    "throttled-bare": (429, "TooManyRequests"),
    "error": (500, "InternalError"),
    "unavailable": (503, "ServiceUnavailable"),
    "expired-token": (401, "Unauthorized"),
}
REFUSALS = _AWS.keys() | _KUBERNETES.keys()
GONE = json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}).encode() + b"\n"
"""What a watch says whose version has been compacted away."""


@dataclass(frozen=True)
class Asked:
    """One request; `words` are the kinds that it is of, header names are in lower case."""

    service: str
    """`kubernetes` or `aws`."""
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def words(self) -> frozenset[str]:
        """`any`; of the API server also evict, node, lease, record, watch; of AWS write, for what changes something."""
        found = self._of_aws() if self.service == "aws" else self._of_kubernetes()
        return frozenset({"any"} | {word for word, is_it in found.items() if is_it})

    def _of_aws(self) -> dict[str, bool]:
        action = called(self.headers, self.path, self.body)[1]
        return {"write": not action.startswith(("Describe", "Get"))}

    def _of_kubernetes(self) -> dict[str, bool]:
        where = urlsplit(self.path)
        writes = self.method in {"POST", "PUT"}
        return {
            "evict": self.method == "POST" and _EVICTION.fullmatch(where.path) is not None,
            "node": self.method == "PATCH" and where.path.startswith("/api/v1/nodes/"),
            "lease": writes and "/leases" in where.path,
            "record": writes and "/configmaps/nodepools-" in where.path,
            "watch": "watch=true" in where.query,
        }

    def refused(self, how: str) -> tuple[int, str, bytes]:
        """Status, content type and body of a refusal in the server's own words."""
        if self.service == "aws":
            status, code, message = _AWS[how]
            return refusal(called(self.headers, self.path, self.body)[0], code, message, status)
        status, reason = _KUBERNETES[how]
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": status}
        return status, "application/json", json.dumps({**body, "message": f"chaos: {reason}"}).encode()
