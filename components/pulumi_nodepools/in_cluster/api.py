"""Requests to the API server as the pod's service account, with nothing but the standard library."""

import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT = 30.0
_PAGE = 500
_CHUNK = 1 << 16
_MESSAGE = 200


class Unanswered(Exception):  # noqa: N818 - said of a request
    """No answer, or not one that helps; `status` is 0 without any."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """One API server. The token is read anew for each request, because the kubelet renews it."""

    def __init__(self, account: Path = ACCOUNT) -> None:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        self._server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        self._token = account / "token"
        context = ssl.create_default_context(cafile=str(account / "ca.crt"))
        # No proxy: the API server is reached from inside its own cluster.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def get(self, path: str, **query: str) -> Any:
        """One object."""
        return _decoded(self._send("GET", path, query))

    def items(self, path: str, **query: str) -> Iterator[Any]:
        """All objects of a list, page by page."""
        token = ""
        while True:
            page = self.get(path, **query, limit=str(_PAGE), **({"continue": token} if token else {}))
            yield from page["items"]
            token = page["metadata"].get("continue") or ""
            if not token:
                return

    def text(self, path: str, **query: str) -> Iterator[bytes]:
        """A text of any length, in chunks."""
        return self._send("GET", path, query)

    def create(self, path: str, body: Any) -> Any:
        """POST; the server's version of the object."""
        return _decoded(self._send("POST", path, {}, body))

    def replace(self, path: str, body: Any) -> Any:
        """PUT; status 409 if somebody else wrote since the body's resourceVersion."""
        return _decoded(self._send("PUT", path, {}, body))

    def patch(self, path: str, body: Any) -> Any:
        """Merge patch; status 409 if somebody else wrote since the body's resourceVersion."""
        return _decoded(self._send("PATCH", path, {}, body))

    def _send(self, method: str, path: str, query: Mapping[str, str], body: Any = None) -> Iterator[bytes]:
        url = self._server + path + ("?" + urllib.parse.urlencode(query) if query else "")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - always https
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        request.add_header("Content-Type", kind)
        try:
            request.add_header("Authorization", f"Bearer {self._token.read_text().strip()}")
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                while chunk := answer.read(_CHUNK):
                    yield chunk
        except urllib.error.HTTPError as refused:
            with refused:
                text = refused.read(_MESSAGE).decode("utf-8", "replace")
            raise Unanswered(f"{method} {path}: {refused.code} {text}", refused.code) from None
        except (OSError, HTTPException) as error:
            raise Unanswered(f"{method} {path}: {error}") from None


def _decoded(chunks: Iterator[bytes]) -> Any:
    try:
        return json.loads(b"".join(chunks))
    except ValueError as error:
        raise Unanswered(f"the answer is no JSON: {error}") from None
