"""Requests to one API server: the official client's configuration and connection pool, used raw.

Thread-safe. Holds credentials and renews them once for all threads, counts its requests, decodes JSON with msgspec.
It never retries on its own except after a renewed credential: what an answer means is for the caller to say. A server
that protects itself (429 of priority and fairness) is left alone by all threads for as long as it asks.
"""

import json
import ssl
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import urllib3

from pulumi_nodepools.cluster import access as access_module
from pulumi_nodepools.cluster.access import Access, Credentials
from pulumi_nodepools.errors import AccessDeniedError, ApiError, ClusterUnreachableError

_POOL = 48
_SILENCE = 90.0
"""A watch without a line for so long is taken for dead."""
_HOLD_MOST = 10.0
"""No server may silence the client for longer by one answer."""
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_MESSAGE_LIMIT = 400
"""Error texts of a server are cut here: admission webhooks may answer with pages."""


@dataclass(frozen=True)
class Response:
    """An HTTP answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StatusDetails(msgspec.Struct):
    """The part of a Status object that says why and for how long."""

    causes: list[dict[str, Any]] = []
    retry_after_seconds: int = msgspec.field(name="retryAfterSeconds", default=0)


class Status(msgspec.Struct):
    """A Kubernetes Status, as error answers and watch errors carry it."""

    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails | None = None


class _ListMeta(msgspec.Struct):
    continue_: str = msgspec.field(name="continue", default="")


class _ListHead(msgspec.Struct):
    metadata: _ListMeta


_STATUS = msgspec.json.Decoder(Status)
_HEAD = msgspec.json.Decoder(_ListHead)


def read_status(body: bytes) -> Status:
    """Decode an error body; text that is no Status (a proxy's page, API fairness) becomes its message."""
    try:
        return _STATUS.decode(body)
    except msgspec.DecodeError:
        return Status(message=body[:_MESSAGE_LIMIT].decode(errors="replace").strip())


class _Session:
    """One generation of credentials with its connection pool; replaced as a whole when they are renewed."""

    def __init__(self, credentials: Credentials) -> None:
        from kubernetes.client.rest import RESTClientObject  # noqa: PLC0415 -- heavy, only when connected

        configuration = credentials.configuration
        configuration.connection_pool_maxsize = _POOL
        configuration.retries = False
        self._configuration = configuration
        self.host: str = configuration.host.rstrip("/")
        self.pool: urllib3.PoolManager = RESTClientObject(configuration).pool_manager
        self.expires = None if credentials.seconds is None else time.monotonic() + credentials.seconds

    def authorization(self) -> str | None:
        """The header's value; the official loader runs an expired credential command again in here."""
        key = self._configuration.get_api_key_with_prefix("BearerToken", "authorization")
        return None if key is None else str(key)


class Client:
    """One API server, usable from many threads."""

    def __init__(self, access: Access, *, timeout: float) -> None:
        self._access = access
        self._timeout = timeout
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._hold_until = 0.0
        self._session = _Session(access_module.load(access, timeout=timeout))
        self.cluster_uid = ""

    @classmethod
    def connect(cls, access: Access, *, timeout: float = 10.0) -> "Client":
        """Log in and read the cluster's identity (the UID of kube-system), which also proves that it answers."""
        client = cls(access, timeout=timeout)
        path = "/api/v1/namespaces/kube-system"
        answer = client.request("GET", path, timeout=timeout)
        client.cluster_uid = str(client._decode("GET", path, answer)["metadata"]["uid"])
        return client

    @property
    def api_calls(self) -> dict[str, dict[str, int]]:
        """Requests so far by verb and code; code `error` counts those without an answer."""
        with self._lock:
            counts = sorted(self._counts.items())
        result: dict[str, dict[str, int]] = {}
        for (verb, code), number in counts:
            result.setdefault(verb, {})[code] = number
        return result

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: float = 30.0,
        verb: str | None = None,
    ) -> Response:
        """Send one request; any HTTP status is an answer, only a failed transport raises ClusterUnreachableError."""
        send = _Request(method, path, query, body, content_type, timeout)
        answer = self._send(send, verb or _VERBS[method], stream=False)
        return Response(answer.status, answer.headers, answer.data)

    def get(self, path: str, **query: Any) -> Any:
        """Decoded JSON of one object or list; a status of 400 or more raises."""
        return self._decode("GET", path, self.request("GET", path, query=query))

    def create(self, path: str, body: Any) -> Any:
        """POST `body`; returns what the server made of it."""
        return self._decode("POST", path, self.request("POST", path, body=body))

    def replace(self, path: str, body: Any, *, timeout: float = 30.0) -> Any:
        """PUT `body`; its resourceVersion, if any, makes the server refuse a lost update with 409."""
        return self._decode("PUT", path, self.request("PUT", path, body=body, timeout=timeout))

    def patch(self, path: str, body: Any, content_type: str = "application/merge-patch+json") -> Any:
        """PATCH with a merge patch unless told otherwise."""
        return self._decode("PATCH", path, self.request("PATCH", path, body=body, content_type=content_type))

    def delete(self, path: str, body: Any = None) -> Any:
        """DELETE; 404 raises ApiError like any other error."""
        return self._decode("DELETE", path, self.request("DELETE", path, body=body))

    def list_raw(self, path: str, *, limit: int = 500, **query: Any) -> Iterator[bytes]:
        """The pages of a list, undecoded; a continuation that expired meanwhile raises ApiError with status 410."""
        token = ""
        while True:
            pages = {**query, "limit": limit} | ({"continue": token} if token else {})
            answer = self.request("GET", path, query=pages, verb="list")
            self._raise_for_status("GET", path, answer)
            yield answer.body
            token = _HEAD.decode(answer.body).metadata.continue_
            if not token:
                return

    def watch_lines(
        self,
        path: str,
        *,
        resource_version: str,
        timeout_seconds: float,
        opened: Callable[[Callable[[], None]], None] | None = None,
        **query: Any,
    ) -> Generator[bytes, None, None]:
        """The lines of a watch with bookmarks, until the server ends it; `opened` is given a way to end it early.

        A refused watch raises ApiError (410: list again), a broken one ClusterUnreachableError.
        """
        asked = {**query, "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": resource_version}
        asked["timeoutSeconds"] = max(1, int(timeout_seconds))
        # A half-open connection would be silent for ever: the server ends every watch by itself before this,
        # and sends a bookmark about every minute.
        limit = min(timeout_seconds + 10, _SILENCE)
        answer = self._send(_Request("GET", path, asked, None, "application/json", limit), "watch", stream=True)
        try:
            if answer.status >= 400:
                self._raise_for_status("GET", path, Response(answer.status, answer.headers, answer.data))
            if opened:
                opened(answer.shutdown)
            yield from _lines(answer)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise ClusterUnreachableError(f"watch of {path} at {self._session.host} broke: {error}") from None
        finally:
            answer.close()

    def stream(self, path: str, *, timeout: float = _SILENCE, **query: Any) -> Generator[bytes, None, None]:
        """The body of a text of any length, in chunks; `timeout` is the longest silence, in seconds.

        A refusal raises like `get`, a transport that breaks off ClusterUnreachableError.
        """
        answer = self._send(_Request("GET", path, query, None, "*/*", timeout), "get", stream=True)
        try:
            if answer.status >= 400:
                self._raise_for_status("GET", path, Response(answer.status, answer.headers, answer.data))
            yield from answer.stream()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterUnreachableError(f"GET {path} at {self._session.host} broke off: {error}") from None
        finally:
            answer.close()

    def can_i(self, verb: str, resource: str, *, group: str = "", subresource: str = "", namespace: str = "") -> bool:
        """Whether these credentials may do `verb` on `resource`, as the server's own authorizer says."""
        attributes = {
            "verb": verb,
            "resource": resource,
            "group": group,
            "subresource": subresource,
            "namespace": namespace,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
        }
        answer = self.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool(answer.get("status", {}).get("allowed", False))

    def _send(self, send: "_Request", verb: str, *, stream: bool) -> urllib3.BaseHTTPResponse:
        session = self._current()
        answer = self._once(session, send, verb, stream=stream)
        if answer.status == 401:
            answer.drain_conn()
            answer = self._once(self._renewed(session), send, verb, stream=stream)
        return answer

    def _once(self, session: _Session, send: "_Request", verb: str, *, stream: bool) -> urllib3.BaseHTTPResponse:
        hold = self._hold_until - time.monotonic()
        if hold > 0:
            _pause(hold)
        try:
            with self._lock:  # one thread runs an expired credential command, the others use what it brought
                token = session.authorization()
            answer = send.to(session, token, stream=stream)
        except (urllib3.exceptions.HTTPError, ssl.SSLError, OSError) as error:
            self._count(verb, "error")
            raise ClusterUnreachableError(
                f"{send.method} {send.path}: {self._access.describe()} at {session.host} did not answer "
                f"({_cause(error)}); check that it is reachable from here and that its certificate is trusted"
            ) from None
        self._count(verb, str(answer.status))
        if answer.status == 429:
            self._hold(answer)
        return answer

    def _hold(self, answer: urllib3.BaseHTTPResponse) -> None:
        """A budget that is being computed answers 429 too: that is nobody's business but its own pods'."""
        asked = answer.headers.get("Retry-After", "")
        if asked.isdigit() and b"DisruptionBudget" not in answer.data:
            self._hold_until = max(self._hold_until, time.monotonic() + min(float(asked), _HOLD_MOST))

    def _current(self) -> _Session:
        session = self._session
        if session.expires is not None and time.monotonic() >= session.expires:
            return self._renewed(session)
        return session

    def _renewed(self, stale: _Session) -> _Session:
        """The session that follows `stale`; whoever comes first makes it, everyone else gets that one."""
        with self._lock:
            if self._session is stale:
                self._session = _Session(access_module.load(self._access, timeout=self._timeout))
            return self._session

    def _count(self, verb: str, code: str) -> None:
        with self._lock:
            self._counts[(verb, code)] += 1

    def _decode(self, method: str, path: str, answer: Response) -> Any:
        self._raise_for_status(method, path, answer)
        return msgspec.json.decode(answer.body) if answer.body else None

    def _raise_for_status(self, method: str, path: str, answer: Response) -> None:
        if answer.status < 400:
            return
        status = read_status(answer.body)
        message = f"{method} {path}: {answer.status} {status.reason} {status.message[:_MESSAGE_LIMIT]}".strip()
        if answer.status == 401:
            raise AccessDeniedError(
                f"{message}; the credentials of {self._access.describe()} are not accepted: log in again"
            )
        if answer.status == 403 and status.reason == "Forbidden" and "cannot" in status.message:
            raise AccessDeniedError(f"{message}; grant this right to the identity that runs the drain")
        raise ApiError(message, status=answer.status, reason=status.reason)


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, Any] | None
    body: Any
    content_type: str
    timeout: float

    def to(self, session: _Session, token: str | None, *, stream: bool) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": "pulumi-nodepools"}
        if token:
            headers["Authorization"] = token
        data = None
        if self.body is not None:
            headers["Content-Type"] = self.content_type
            data = json.dumps(self.body).encode()
        url = session.host + self.path + ("?" + urllib.parse.urlencode(self.query) if self.query else "")
        limit = urllib3.Timeout(connect=min(10.0, self.timeout), read=self.timeout)
        return session.pool.request(
            self.method, url, body=data, headers=headers, timeout=limit, retries=False, preload_content=not stream
        )


def items(client: Client, path: str, **query: Any) -> Iterator[Any]:
    """Every object of a list, decoded: for lists that are small, or read seldom."""
    for page in client.list_raw(path, **query):
        yield from msgspec.json.decode(page)["items"]


def list_nodes(client: Client) -> list[Any]:
    """Every node of the cluster, decoded."""
    return list(items(client, "/api/v1/nodes"))


def _pause(seconds: float) -> None:
    time.sleep(seconds)


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in answer.stream():
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line)


def _cause(error: Exception) -> str:
    text = str(getattr(error, "reason", None) or error)
    return text.split("): ", 1)[-1][:_MESSAGE_LIMIT] or type(error).__name__
