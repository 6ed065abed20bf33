"""Stands between a roll and one of its servers, and lets requests meet the faults of a schedule.

Plain HTTP in front, a connection of its own behind each of the roll's. Which request is hit is the script's to say,
what a refusal looks like is in `servers`.
"""

import queue
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tests.chaos.schedule import Fault
from tests.chaos.servers import GONE, REFUSALS, Asked
from tests.chaos.watches import Watches

_HOPS = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length"}
_BROKEN = (OSError, HTTPException, ValueError, AttributeError)
"""What http.client raises where a body breaks off; the last two where it stumbles over its own end."""


class Script:
    """Counts the requests of a roll and says which one meets what.

    Faults of the world are acted out by `act`, which says whether there was anything to act on.
    """

    def __init__(self, faults: Sequence[Fault], act: Callable[[Fault], bool]) -> None:
        self.injected: Counter[str] = Counter()
        self.lost: list[str] = []
        """Paths of evictions that were carried out and whose answer never came back."""
        self.not_played: list[str] = []
        """Faults that could not be acted out to their end, and why."""
        self.watches = Watches()
        self._faults = faults
        self._met: Counter[Fault] = Counter()
        self._act = act
        self._lock = threading.Lock()

    def meet(self, asked: Asked) -> Fault | None:
        """What the proxy has to do to this request."""
        with self._lock:
            led = all(self.injected[fault.kind] for fault in self._faults if not fault.joins)
            hits = [
                fault
                for fault in self._faults
                if fault.place == asked.service and led >= fault.joins and self._is_hit(fault, asked)
            ]
        for fault in hits:
            if not _passed_through(fault):
                self.act(fault)
        passed = next((fault for fault in hits if _passed_through(fault)), None)
        if passed and passed.kind != "process/kill-after":
            self._note(passed)
        return passed

    def _is_hit(self, fault: Fault, asked: Asked) -> bool:
        if fault.on not in asked.words:
            return False
        self._met[fault] += 1
        return fault.after <= self._met[fault] < fault.after + fault.count

    def act(self, fault: Fault) -> None:
        """Let a fault of the world happen now."""
        try:
            acted = self._act(fault)
        except Exception as error:  # noqa: BLE001 - it would be lost in the server's thread, and the roll goes on
            self.not_played.append(f"{fault}: {type(error).__name__}: {error}")
            return
        if acted:
            self._note(fault)

    def _note(self, fault: Fault) -> None:
        with self._lock:
            self.injected[fault.kind] += 1


def _passed_through(fault: Fault) -> bool:
    return fault.kind.startswith(("kubernetes/", "aws/")) or fault.kind == "process/kill-after"


class Proxy:
    """Listens on a port of its own until it is closed."""

    def __init__(self, service: str, connect: Callable[[], HTTPConnection], script: Script) -> None:
        self.service, self.connect, self.script = service, connect, script
        self.closed = threading.Event()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more requests; those under way end with their connections."""
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""


class _Handler(BaseHTTPRequestHandler):
    """One connection of the roll, with one of its own to the server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: ClassVar[Proxy]

    def setup(self) -> None:
        super().setup()
        self._server_side = self.proxy.connect()

    def finish(self) -> None:
        self._server_side.close()
        with suppress(OSError):
            super().finish()

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except _BROKEN:
            self._reset()

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {key.lower(): value for key, value in self.headers.items() if key.lower() not in _HOPS}
        asked = Asked(self.proxy.service, self.command, self.path, headers, body)
        fault = self.proxy.script.meet(asked)
        how = fault.kind.partition("/")[2] if fault else ""
        seconds = fault.seconds if fault else 0.0
        if how == "latency":
            self.proxy.closed.wait(seconds)
        if self.proxy.script.watches.refuse(asked, seconds if how == "blind" else 0.0):
            self._refuse("unavailable", 0.0, asked)
        elif how == "half-open":
            self.proxy.closed.wait(seconds)
            self._reset()
        elif how == "reset":
            self._reset()
        elif how == "gone-watch":
            self._stream(iter([GONE]))
        elif how in REFUSALS:
            self._refuse(how, seconds, asked)
        else:
            self._pass_on(asked, fault, how, seconds)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - http.server's names

    def _pass_on(self, asked: Asked, fault: Fault | None, how: str, seconds: float) -> None:
        answer = self._forward(asked)
        if fault and how in {"lost-answer", "kill-after"}:
            answer.read()
            if "evict" in asked.words:
                self.proxy.script.lost.append(urlsplit(asked.path).path)
            if how == "kill-after":
                self.proxy.script.act(fault)
            self._reset()
        elif "watch" in asked.words and answer.status == 200:
            lines: Iterator[bytes] = iter(answer.readline, b"")
            if how == "dropped-watch":
                threading.Timer(seconds, self._reset).start()
            self._watch(asked, _late(lines, seconds, self.proxy.closed) if how == "stale-watch" else lines)
        else:
            if answer.status == 200:
                self.proxy.script.watches.listed(urlsplit(asked.path).path)
            self._answer(answer.status, answer.getheaders(), answer.read())

    def _forward(self, asked: Asked) -> HTTPResponse:
        self._server_side.request(asked.method, asked.path, asked.body or None, asked.headers)
        return self._server_side.getresponse()

    def _refuse(self, how: str, seconds: float, asked: Asked) -> None:
        status, kind, body = asked.refused(how)
        wait = [("Retry-After", str(int(seconds)))] if (how, asked.service) == ("throttled", "kubernetes") else []
        self._answer(status, [("Content-Type", kind), *wait], body)

    def _answer(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for key, value in headers:
            if key.lower() not in _HOPS:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _watch(self, asked: Asked, lines: Iterator[bytes]) -> None:
        watches, path, cut = self.proxy.script.watches, urlsplit(asked.path).path, self._reset
        watches.opened(path, cut)
        try:
            self._stream(lines)
        finally:
            watches.closed(path, cut)

    def _stream(self, lines: Iterator[bytes]) -> None:
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
        self.wfile.write(b"0\r\n\r\n")

    def _reset(self) -> None:
        """End the connection as a crashed server does, and the one behind it."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            if self._server_side.sock:
                self._server_side.sock.shutdown(socket.SHUT_RDWR)


def _late(lines: Iterator[bytes], seconds: float, closed: threading.Event) -> Iterator[bytes]:
    """Each line as long after it came, whatever came in between."""
    held: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def read() -> None:
        with suppress(*_BROKEN):
            for line in lines:
                held.put((time.monotonic(), line))
        held.put((time.monotonic(), b""))

    threading.Thread(target=read, daemon=True).start()
    while True:
        came, line = held.get()
        closed.wait(max(0.0, came + seconds - time.monotonic()))
        if not line:
            return
        yield line
