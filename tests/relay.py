"""What one run asks of the API server and of AWS, on its way there: written down, and held where a test says so.

Each run has relays of its own, so that what several runs asked can be told apart and put in order. Answers pass as they
come, watches included. Nothing is changed on the way, only held, or never delivered.
"""

import base64
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

AGENT = "pulumi-nodepools"
_HOPS = {"connection", "transfer-encoding", "keep-alive"}
_SILENCE = 120.0


@dataclass(frozen=True)
class Asked:
    """One request, with the run that sent it, and once it was delivered when and with which status it was answered."""

    run: int
    service: str
    """`kubernetes` or `aws`."""
    method: str
    path: str
    agent: str
    data: bytes
    status: int = 0
    at: float = 0.0

    @cached_property
    def body(self) -> dict[str, Any]:
        """The object, or the parameters of a call of AWS."""
        if self.service == "aws":
            return dict(parse_qsl(self.data.decode()))
        found: dict[str, Any] = json.loads(self.data) if self.data[:1] == b"{" else {}
        return found

    @property
    def accepted(self) -> bool:
        return 0 < self.status < 300

    @property
    def evicts(self) -> str:
        """The UID of the pod that it evicts."""
        options = self.body.get("deleteOptions") if self.path.endswith("/eviction") else None
        return str(options["preconditions"]["uid"]) if options else ""

    @property
    def cordons(self) -> str:
        """The node that it makes unschedulable."""
        cordon = self.method == "PATCH" and (self.body.get("spec") or {}).get("unschedulable")
        return self.path.rpartition("/")[2] if cordon else ""

    @property
    def phase(self) -> str:
        """What it writes into a pool's record as its phase."""
        text = (self.body.get("data") or {}).get("record.json") if self.method in {"PUT", "POST"} else None
        return str(json.loads(text)["phase"]) if text else ""

    @property
    def lease_holder(self) -> str | None:
        """Whom it writes into a Lease; empty if it gives the Lease up."""
        lease = "/leases" in self.path and self.method in {"PUT", "POST"}
        return str(self.body["spec"].get("holderIdentity") or "") if lease else None


@dataclass
class Journal:
    """Everything that all runs of one test asked and got an answer to, in the order of the answers."""

    entries: list[Asked] = field(default_factory=list)

    def evicted(self) -> list[str]:
        """UIDs, once for each eviction that was accepted."""
        return [asked.evicts for asked in self.entries if asked.accepted and asked.evicts]

    def cordoned(self) -> list[str]:
        """Nodes, once for each cordon that was accepted."""
        return [asked.cordons for asked in self.entries if asked.accepted and asked.cordons]

    def spans(self) -> list[tuple[float, float]]:
        """For each run that took the Lease: when it got it, and when it last changed anything in the cluster."""
        found: dict[int, tuple[float, float]] = {}
        for asked in self.entries:
            if not (asked.accepted and asked.agent == AGENT and asked.method != "GET"):
                continue
            if asked.run in found or asked.lease_holder:
                found[asked.run] = found.get(asked.run, (asked.at, 0.0))[0], asked.at
        return list(found.values())


class Gate:
    """Lets requests through until the first that `holds` says yes to; that one waits until it is decided on."""

    def __init__(self, holds: Callable[[Asked], bool] | None) -> None:
        self._holds = holds
        self._decided = threading.Event()
        self._delivers = False
        self.reached = threading.Event()

    def decide(self, *, deliver: bool) -> None:
        """Deliver what is held and let all pass, or never deliver it nor any other like it."""
        if not self._decided.is_set():
            self._delivers = deliver
            self._decided.set()

    def admits(self, asked: Asked) -> bool:
        if self._holds is None or not self._holds(asked):
            return True
        self.reached.set()
        self._decided.wait()
        return self._delivers


class Relays:
    """The relays of one run; `env` leads it through them."""

    def __init__(self, env: Mapping[str, str], folder: Path, run: int, journal: Journal, gate: Gate) -> None:
        self.gate = gate
        folder.mkdir(parents=True)
        connects = connections(env, folder)
        self._servers = [_Relay(run, service, connect, journal, gate) for service, connect in connects.items()]
        self.env = led_through(folder, *(f"http://127.0.0.1:{server.server_port}" for server in self._servers))

    def close(self) -> None:
        self.gate.decide(deliver=False)
        for server in self._servers:
            server.end()


class _Relay(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        run: int,
        service: str,
        connect: Callable[[], http.client.HTTPConnection],
        journal: Journal,
        gate: Gate,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.run, self.service, self.connect, self.journal, self.gate = run, service, connect, journal, gate
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def end(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        """Whoever asked was killed, or is no longer waited for: that is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Relay

    def _relay(self) -> None:
        self.close_connection = True
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        agent = self.headers.get("User-Agent") or ""
        asked = Asked(self.server.run, self.server.service, self.command, self.path, agent, data)
        if not self.server.gate.admits(asked):
            # AWS is only cut off: its clients cannot read a refusal that is not in the words of that service.
            if self.server.service == "kubernetes":
                self._refuse()
            return
        upstream = self.server.connect()
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOPS}
            upstream.request(self.command, self.path, data or None, headers)
            answer = upstream.getresponse()
            entry = Asked(
                asked.run, asked.service, asked.method, asked.path, agent, data, answer.status, time.monotonic()
            )
            self.server.journal.entries.append(entry)
            self._pass(answer)
        finally:
            upstream.close()

    def _refuse(self) -> None:
        """Not as a network that fails: that is asked again for some time, also by a run whose engine is gone."""
        body = json.dumps({"kind": "Status", "reason": "BadRequest", "message": "never delivered"}).encode()
        self.send_response_only(400)
        for name, value in (
            ("Content-Type", "application/json"),
            ("Content-Length", len(body)),
            ("Connection", "close"),
        ):
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def _pass(self, answer: http.client.HTTPResponse) -> None:
        """Chunk by chunk where the answer comes so: a watch must not wait until there is more of it."""
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOPS:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while chunk := answer.read1(1 << 16):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk) if answer.chunked else chunk)
        if answer.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every method goes the same way."""
        if name.startswith("do_"):
            return self._relay
        raise AttributeError(name)


def connections(env: Mapping[str, str], folder: Path) -> dict[str, Callable[[], http.client.HTTPConnection]]:
    """How to reach the API server, as the kubeconfig's user, and AWS; its certificates go into `folder`."""
    config = yaml.safe_load(Path(env["KUBECONFIG"]).read_text())
    (cluster,), (user,) = config["clusters"], config["users"]
    api, aws = urlsplit(cluster["cluster"]["server"]), urlsplit(env["AWS_ENDPOINT_URL"])
    context = _context(folder, cluster["cluster"], user["user"])
    return {"kubernetes": partial(_connection, api.netloc, context), "aws": partial(_connection, aws.netloc, None)}


def led_through(folder: Path, kubernetes: str, aws: str) -> dict[str, str]:
    """The environment that leads a run to these addresses; its kubeconfig goes into `folder`."""
    named = {"name": "relay"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "relay",
        "clusters": [{**named, "cluster": {"server": kubernetes}}],
        "users": [{**named, "user": {}}],
        "contexts": [{**named, "context": {"cluster": "relay", "user": "relay"}}],
    }
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    return {"KUBECONFIG": str(kubeconfig), "AWS_ENDPOINT_URL": aws}


def _connection(netloc: str, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
    if context is None:
        return http.client.HTTPConnection(netloc, timeout=_SILENCE)
    return http.client.HTTPSConnection(netloc, timeout=_SILENCE, context=context)


def _context(folder: Path, cluster: Mapping[str, str], user: Mapping[str, str]) -> ssl.SSLContext:
    """As the kubeconfig's user, with the certificates that it holds."""
    files = {}
    for key, text in {**cluster, **user}.items():
        if key.endswith("-data"):
            files[key] = folder / key
            files[key].write_bytes(base64.b64decode(text))
    context = ssl.create_default_context(cafile=files["certificate-authority-data"])
    context.load_cert_chain(files["client-certificate-data"], files["client-key-data"])
    return context
