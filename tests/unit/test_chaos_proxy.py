"""The proxy of the chaos tests: what passes, what is hit, and what a client sees of each fault."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pulumi_nodepools.aws.session import Session
from pulumi_nodepools.errors import AccessDeniedError
from tests.chaos.proxy import Proxy, Script
from tests.chaos.schedule import Fault
from tests.chaos.servers import Asked

WATCH = "/api/v1/pods?watch=true"
EVICTION = "/api/v1/namespaces/shop/pods/web-1/eviction"


class Served(ThreadingHTTPServer):
    """Answers what was asked, and lets a watch say three lines, the last one when `more` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.more = threading.Event()
        super().__init__(("127.0.0.1", 0), Answers)


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        if "watch=true" not in self.path:
            return self._say(b"got " + self.path.encode())
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in (b'{"n":1}\n', b'{"n":2}\n'):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
        self.server.more.wait(10)
        self.wfile.write(b"8\r\n" + b'{"n":3}\n' + b"\r\n0\r\n\r\n")
        return None

    def do_POST(self) -> None:
        self.server.seen.append(self.path)
        self._say(self.rfile.read(int(self.headers["Content-Length"])))

    def _say(self, body: bytes) -> None:
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Served]:
    served = Served()
    thread = threading.Thread(target=served.serve_forever, args=(0.05,))
    thread.start()
    yield served
    served.more.set()
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.fixture
def through(server: Served) -> Iterator[Callable[..., http.client.HTTPConnection]]:
    """Connects to a proxy with these faults in front of the server."""
    proxies: list[Proxy] = []

    def connect(*faults: Fault, place: str = "kubernetes", act: Callable = lambda fault: True):
        behind = partial(http.client.HTTPConnection, "127.0.0.1", server.server_address[1])
        proxies.append(Proxy(place, behind, Script(faults, act)))
        connection = http.client.HTTPConnection(proxies[-1].url.removeprefix("http://"), timeout=10)
        connection.script = proxies[-1].script
        return connection

    yield connect
    server.more.set()
    for proxy in proxies:
        proxy.close()


def fault(kind: str, on: str = "any", **fields: Any) -> Fault:
    return Fault(f"kubernetes/{kind}" if "/" not in kind else kind, on, **{"after": 1, **fields})


def ask(connection, path: str = "/x", body: str | None = None) -> tuple[int, bytes]:
    connection.request("POST" if body else "GET", path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_requests_and_bodies_pass_on_one_connection(through) -> None:
    connection = through()
    assert ask(connection, "/a?b=c") == (201, b"got /a?b=c")
    assert ask(connection, EVICTION, "body") == (201, b"body")


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("throttled", 429, "TooManyRequests"),
        ("throttled-bare", 429, "TooManyRequests"),
        ("error", 500, "InternalError"),
        ("unavailable", 503, "ServiceUnavailable"),
        ("expired-token", 401, "Unauthorized"),
    ],
)
def test_a_refusal_is_the_servers_own_and_begins_and_ends_by_number(through, server, kind, status, reason) -> None:
    connection = through(fault(kind, after=2, count=2, seconds=2))
    assert [ask(connection)[0] for _ in range(4)] == [201, status, status, 201]
    assert len(server.seen) == 2, "what is refused is not passed on"
    assert connection.script.injected == {f"kubernetes/{kind}": 2}


def test_only_one_kind_of_429_says_when_to_come_back(through) -> None:
    for kind, said in (("throttled", "2"), ("throttled-bare", None)):
        connection = through(fault(kind, seconds=2))
        connection.request("GET", "/x")
        assert connection.getresponse().getheader("Retry-After") == said


def test_a_fault_meets_only_what_it_is_meant_for(through) -> None:
    connection = through(fault("error", on="evict"))
    assert ask(connection)[0] == 201
    assert ask(connection, EVICTION, "{}")[0] == 500
    assert ask(connection, EVICTION, "{}")[0] == 201


@pytest.mark.parametrize("kind", ["reset", "half-open", "lost-answer"])
def test_a_connection_ends_without_an_answer(through, server, kind) -> None:
    connection = through(fault(kind, on="evict", seconds=0.1))
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask(connection, EVICTION, "{}")
    assert server.seen == ([EVICTION] if kind == "lost-answer" else []), (
        "a lost answer was one to a request carried out"
    )
    assert connection.script.lost == ([EVICTION] if kind == "lost-answer" else [])


@pytest.mark.parametrize(("kind", "seen"), [("process/kill-before", 1), ("process/kill-after", 1), ("death/old", 1)])
def test_faults_of_the_world_are_acted_out_once(through, server, kind, seen) -> None:
    acted: list[tuple[str, int]] = []

    def act(fault: Fault) -> bool:
        acted.append((fault.kind, len(server.seen)))
        return True

    connection = through(fault(kind, on="evict"), act=act)
    try:
        ask(connection, EVICTION, "{}")
    except (ConnectionError, http.client.HTTPException):
        connection.close()
    ask(connection, EVICTION, "{}")
    assert acted == [(kind, seen if kind == "process/kill-after" else 0)]
    assert connection.script.injected == {kind: 1}


def test_a_fault_with_nothing_to_act_on_was_not_met(through) -> None:
    connection = through(fault("death/old"), act=lambda fault: False)
    assert ask(connection)[0] == 201
    assert not connection.script.injected


def test_a_fault_that_could_not_be_acted_out_is_told_and_was_not_met(through) -> None:
    def act(fault: Fault) -> bool:
        raise AssertionError("its node stayed")

    connection = through(fault("death/old"), act=act)
    assert ask(connection) == (201, b"got /x")
    assert not connection.script.injected
    assert connection.script.not_played == ["death/old from any #1: AssertionError: its node stayed"]


def test_a_fault_that_joins_counts_only_from_when_those_that_lead_are_met(through) -> None:
    connection = through(fault("error", after=3), fault("unavailable", on="evict", joins=True))
    assert [ask(connection, EVICTION, "{}")[0] for _ in range(5)] == [201, 201, 500, 503, 201]


def test_one_request_meets_one_fault_and_only_that_one_counts(through) -> None:
    connection = through(fault("error"), fault("unavailable"))
    assert [ask(connection)[0] for _ in range(2)] == [500, 201]
    assert connection.script.injected == {"kubernetes/error": 1}


def test_latency_comes_before_the_answer(through) -> None:
    began = time.monotonic()
    assert ask(through(fault("latency", seconds=0.3)))[0] == 201
    assert time.monotonic() - began >= 0.3


def test_a_watch_is_passed_on_line_by_line(through, server) -> None:
    connection = through()
    connection.request("GET", WATCH)
    answer = connection.getresponse()
    assert [json.loads(answer.readline())["n"] for _ in range(2)] == [1, 2]
    server.more.set()
    assert json.loads(answer.readline())["n"] == 3
    assert answer.read() == b""


def test_a_stale_watch_says_everything_late_but_no_later_than_that(through) -> None:
    connection = through(fault("stale-watch", on="watch", seconds=0.5))
    connection.request("GET", WATCH)
    answer, began = connection.getresponse(), time.monotonic()
    assert [json.loads(answer.readline())["n"] for _ in range(2)] == [1, 2]
    assert 0.4 <= time.monotonic() - began < 0.9, "both came at once, so both are late by the same"


def test_a_dropped_watch_breaks_off(through) -> None:
    connection = through(fault("dropped-watch", on="watch", seconds=0.2))
    connection.request("GET", WATCH)
    answer = connection.getresponse()
    assert json.loads(answer.readline())["n"] == 1
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        answer.read()


def test_a_watch_that_is_gone_says_so_as_the_server_does(through, server) -> None:
    status, body = ask(through(fault("gone-watch", on="watch")), WATCH)
    assert (status, json.loads(body)["object"]["code"], server.seen) == (200, 410, [])


def test_aws_refuses_in_words_that_its_clients_know(through, monkeypatch) -> None:
    connection = through(Fault("aws/throttled", "any", 1), Fault("aws/expired-token", "any", 2), place="aws")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{connection.host}:{connection.port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    with pytest.raises(AccessDeniedError, match="have expired"):
        Session("us-west-2").call("autoscaling", "describe_auto_scaling_groups")
    assert connection.script.injected == {"aws/throttled": 1, "aws/expired-token": 1}, "the first one was tried again"


def test_requests_are_told_apart() -> None:
    def words(method: str, path: str) -> set[str]:
        return {*Asked("kubernetes", method, path, {}, b"").words} - {"any"}

    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/nodepools-c1"
    record = "/api/v1/namespaces/kube-system/configmaps/nodepools-c1"
    assert words("POST", EVICTION) == {"evict"}
    assert words("PATCH", "/api/v1/nodes/a") == {"node"}
    assert (words("PUT", lease), words("GET", lease)) == ({"lease"}, set())
    assert (words("PUT", record), words("GET", record)) == ({"record"}, set())
    assert words("GET", WATCH) == {"watch"}
    signed = {"authorization": "AWS4-HMAC-SHA256 Credential=k/20260101/us-west-2/autoscaling/aws4_request, x"}
    for action, expected in (("DescribeAutoScalingGroups", {"any"}), ("SuspendProcesses", {"any", "write"})):
        assert Asked("aws", "POST", "/", signed, f"Action={action}".encode()).words == expected
