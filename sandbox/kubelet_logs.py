"""Stands in for the log endpoint of a kubelet: the API server fetches `kubectl logs` from here.

One server may be the kubelet of several nodes: a node is told by `addresses` and `daemon_endpoints` where to find it.
Logs are kept in memory, each line with the stamp of its writing, as the container runtime does.
"""

import ssl
import threading
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sandbox.certificates import Pair


@dataclass(frozen=True)
class Entry:
    """One line with its time of writing in nanoseconds."""

    nanoseconds: int
    text: bytes

    def stamped(self) -> bytes:
        seconds, rest = divmod(self.nanoseconds, 10**9)
        whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{whole}.{rest:09d}Z ".encode() + self.text


class KubeletLogs:
    """Serves what `write` was given until `stop`."""

    def __init__(self, pair: Pair) -> None:
        self._lock = threading.Lock()
        self._logs: dict[str, list[Entry]] = defaultdict(list)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"logs": self}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def start(self) -> "KubeletLogs":
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def node_status(self) -> dict[str, Any]:
        """What a node's status says about its kubelet."""
        return {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._server.server_port}},
        }

    def write(self, namespace: str, pod: str, container: str, *lines: bytes, at: float) -> None:
        """Append lines that were written at `at` (epoch seconds), one nanosecond apart."""
        begin = int(at * 1e6) * 1000
        with self._lock:
            log = self._logs[f"{namespace}/{pod}/{container}"]
            begin = max(begin, log[-1].nanoseconds + 1) if log else begin
            log += [Entry(begin + index, line) for index, line in enumerate(lines)]

    def rotate(self, namespace: str, pod: str, container: str) -> None:
        """Begin a new file: the API shows only the newest one."""
        with self._lock:
            self._logs[f"{namespace}/{pod}/{container}"].clear()

    def read(self, name: str, since: int) -> list[bytes]:
        """The lines from `since` (epoch nanoseconds) on."""
        with self._lock:
            return [entry.stamped() for entry in self._logs[name] if entry.nanoseconds >= since]


class _Handler(BaseHTTPRequestHandler):
    logs: KubeletLogs
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = parse_qs(asked.query)
        body = b"".join(
            line + b"\n" for line in self.logs.read(asked.path.removeprefix("/containerLogs/"), _since(query))
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # a reader may have seen enough
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        pass


def _since(query: dict[str, list[str]]) -> int:
    if "sinceTime" in query:
        return int(datetime.fromisoformat(query["sinceTime"][0]).timestamp()) * 10**9
    if "sinceSeconds" in query:
        return int((datetime.now(UTC).timestamp() - int(query["sinceSeconds"][0])) * 10**9)
    return 0
