"""The client against a small HTTP server: paging, watches, renewed credentials, errors that explain themselves."""

import json
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pulumi_nodepools.cluster import client as client_module
from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.errors import AccessDeniedError, ApiError, ClusterUnreachableError, ConfigError


class Silent(bytes):
    """A body of which the last byte never comes."""


class Server(ThreadingHTTPServer):
    """Answers by path from `answers` (a list is used up, its last stays); remembers what was asked."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {"/api/v1/namespaces/kube-system": [(200, {"metadata": {"uid": "cluster-1"}})]}
        self.asked = []
        self.accepted_token = None
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def answer(self, handler):
        with self.lock:
            self.asked.append((handler.command, handler.path, handler.headers.get("Authorization")))
            if self.accepted_token and handler.headers.get("Authorization") != f"Bearer {self.accepted_token}":
                return 401, {"kind": "Status", "message": "Unauthorized", "reason": "Unauthorized"}
            answers = self.answers.get(handler.path.partition("?")[0], [(404, {"message": "no such path"})])
            return answers.pop(0) if len(answers) > 1 else answers[0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        status, body = self.server.answer(self)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "7")
        self.send_header("Content-Length", str(len(data) + isinstance(body, Silent)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = Server()
    yield server
    server.shutdown()
    server.server_close()


def kubeconfig(path, server, user):
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        "users": [{"name": "u", "user": user}],
    }
    file = path / "kubeconfig"
    file.write_text(json.dumps(config))
    return Access("kubeconfig", path=str(file))


@pytest.fixture
def client(server, tmp_path):
    return Client.connect(kubeconfig(tmp_path, server, {"token": "t"}))


def test_connect_reads_the_identity_of_the_cluster(client):
    assert client.cluster_uid == "cluster-1"
    assert client.api_calls == {"get": {"200": 1}}


def test_kubeconfig_is_looked_up_at_time_of_use(server, tmp_path, monkeypatch):
    access = kubeconfig(tmp_path, server, {"token": "t"})
    monkeypatch.setenv("KUBECONFIG", access.path)
    assert Client.connect(Access("kubeconfig")).cluster_uid == "cluster-1"


def test_a_missing_kubeconfig_names_the_file(tmp_path):
    with pytest.raises(ClusterUnreachableError, match="no-such-file"):
        Client.connect(Access("kubeconfig", path=str(tmp_path / "no-such-file")))


def test_an_unreachable_server_is_named(server, tmp_path):
    access = kubeconfig(tmp_path, server, {"token": "t"})
    server.shutdown()
    server.server_close()
    with pytest.raises(ClusterUnreachableError, match=r"127\.0\.0\.1:.*did not answer"):
        Client.connect(access, timeout=2)


def test_pages_of_a_list_follow_the_continuation(server, client):
    server.answers["/api/v1/pods"] = [
        (200, {"metadata": {"continue": "next"}, "items": [1]}),
        (200, {"metadata": {}, "items": [2]}),
    ]
    pages = [json.loads(page)["items"] for page in client.list_raw("/api/v1/pods")]
    assert pages == [[1], [2]]
    asked = [path for _, path, _ in server.asked if path.startswith("/api/v1/pods")]
    assert asked == ["/api/v1/pods?limit=500", "/api/v1/pods?limit=500&continue=next"]
    assert client.api_calls["list"] == {"200": 2}


def test_a_refused_watch_tells_its_status(server, client):
    server.answers["/api/v1/pods"] = [(410, {"message": "too old resource version", "reason": "Expired"})]
    with pytest.raises(ApiError, match="too old") as caught:
        list(client.watch_lines("/api/v1/pods", resource_version="1", timeout_seconds=5))
    assert caught.value.status == 410


def test_a_watch_that_fell_silent_is_given_up_long_before_its_end(server, client, monkeypatch):
    monkeypatch.setattr(client_module, "_SILENCE", 0.3)
    server.answers["/api/v1/pods"] = [(200, Silent(b'{"type":"ADDED"}\n'))]
    with pytest.raises(ClusterUnreachableError, match="broke"):
        list(client.watch_lines("/api/v1/pods", resource_version="1", timeout_seconds=3000))


def test_a_watch_yields_lines_and_ends_with_the_server(server, client):
    server.answers["/api/v1/pods"] = [(200, b'{"a":1}\n{"a":2}\n')]
    lines = list(client.watch_lines("/api/v1/pods", resource_version="1", timeout_seconds=5))
    assert lines == [b'{"a":1}', b'{"a":2}']


def test_rbac_denial_says_which_right_is_missing_and_a_policy_denial_does_not_look_like_one(server, client):
    text = 'nodes "a" is forbidden: User "u" cannot patch resource "nodes" in API group "" at the cluster scope'
    server.answers["/a"] = [(403, {"message": text, "reason": "Forbidden"})]
    server.answers["/b"] = [(422, {"message": 'pods "x" is forbidden: policy says no', "reason": "Invalid"})]
    with pytest.raises(AccessDeniedError, match="grant this right"):
        client.patch("/a", {})
    with pytest.raises(ApiError, match="policy says no"):
        client.create("/b", {})


def credential_command(path, token_file):
    """An exec plugin that counts its runs and prints the token that the file holds now."""
    script = path / "credential"
    runs = path / "runs"
    script.write_text(
        f"#!/bin/sh\necho run >> {runs}\n"
        '[ -s "' + str(token_file) + '" ] || exit 1\n'
        'printf \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
        '"status":{"token":"%s"}}\' "$(cat ' + str(token_file) + ')"\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(script),
            "interactiveMode": "Never",
        }
    }
    return user, runs


def test_a_revoked_token_is_renewed_once_for_all_threads(server, tmp_path):
    token = tmp_path / "token"
    token.write_text("first")
    user, runs = credential_command(tmp_path, token)
    server.accepted_token = "first"
    client = Client.connect(kubeconfig(tmp_path, server, user))
    server.answers["/x"] = [(200, {"ok": True})]
    token.write_text("second")
    server.accepted_token = "second"
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda _: client.get("/x"), range(40)))
    assert results == [{"ok": True}] * 40
    assert runs.read_text().count("run") == 2, "once to connect, once for all forty requests"


def test_credentials_that_stay_refused_end_in_one_clear_error(server, tmp_path):
    server.accepted_token = "other"
    with pytest.raises(AccessDeniedError, match="log in again"):
        Client.connect(kubeconfig(tmp_path, server, {"token": "t"}))
    assert len(server.asked) == 2, "one request, one renewal, no loop"


def test_a_429_is_an_answer_with_its_headers(server, client):
    server.answers["/y"] = [(429, b"Too many requests, please try again later.")]
    answer = client.request("POST", "/y", body={}, verb="evict")
    assert answer.status == 429
    assert client.api_calls["evict"] == {"429": 1}


def test_a_server_that_protects_itself_is_left_alone_by_everyone(server, client, monkeypatch):
    pauses = []
    monkeypatch.setattr(client_module, "_pause", pauses.append)
    server.answers["/busy"] = [(429, b"Too many requests, please try again later.")]
    server.answers["/x"] = [(200, {})]
    client.get("/x")
    assert pauses == []
    assert client.request("POST", "/busy", body={}).status == 429
    client.get("/x")
    assert len(pauses) == 1
    assert 6 <= pauses[0] <= 7


def test_a_budget_that_is_being_computed_holds_up_nothing_else(server, client, monkeypatch):
    pauses = []
    monkeypatch.setattr(client_module, "_pause", pauses.append)
    server.answers["/y"] = [(429, {"details": {"causes": [{"reason": "DisruptionBudget"}]}, "message": "processing"})]
    server.answers["/x"] = [(200, {})]
    assert client.request("POST", "/y", body={}).status == 429
    client.get("/x")
    assert pauses == []


def test_can_i_asks_the_server(server, client):
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    server.answers[path] = [(201, {"status": {"allowed": True}}), (201, {"status": {"allowed": False}})]
    assert client.can_i("create", "pods", subresource="eviction")
    assert not client.can_i("delete", "nodes")


@pytest.mark.parametrize(
    ("props", "message"),
    [({"kind": "ssh"}, "'ssh' is neither"), ({"kind": "eks"}, "clusterName is missing")],
)
def test_bad_access_settings_are_refused_by_field(props, message):
    with pytest.raises(ConfigError, match=message):
        Access.from_props(props)


def test_access_survives_the_way_through_state():
    access = Access("eks", cluster_name="prod", region="us-west-2", role_arn="arn:aws:iam::1:role/r")
    assert Access.from_props(access.to_props()) == access
    assert access.to_props() == {
        "kind": "eks",
        "clusterName": "prod",
        "region": "us-west-2",
        "roleArn": "arn:aws:iam::1:role/r",
    }
