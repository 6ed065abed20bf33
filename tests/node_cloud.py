"""What a booting node asks of AWS: the metadata service (version 2 only) and signed API calls, answered by the test.

An API call counts only with a signature that botocore's signer makes of the same request with the role's keys.
"""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

from sandbox.aws import signature
from sandbox.aws.gatekeeper import called, refusal

INSTANCE = "i-0123456789abcdef0"
JOIN_TOKEN = "abcdef.0123456789abcdef"
KEYS = signature.Keys("ASIAEXAMPLEKEYID0000", "a-secret-that-is-only-in-this-test", "session/token+of=the/role==")
ROLE = "prod-worker-v2-us-west-2"
_SESSION = "metadata-session"
_FOLDER = "/latest/meta-data/iam/security-credentials/"


@dataclass(frozen=True)
class Call:
    """A call whose signature is right."""

    service: str
    action: str
    region: str
    parameters: dict[str, object]


class Cloud:
    """One machine's view of AWS on a loopback port; a context manager. `endpoint` for APIs, `metadata` for the rest."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.faults: list[str] = []
        """Why requests were not taken for the role's."""
        self.failures = 0
        """How many of the next calls end in a 500."""
        self.denied: set[str] = set()
        """Actions that the role may not do."""
        self.join_token = JOIN_TOKEN
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.port = self._server.server_address[1]
        self.metadata = f"http://127.0.0.1:{self.port}"
        self.endpoint = f"{self.metadata}/aws"

    def __enter__(self) -> "Cloud":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def called(self, action: str) -> list[Call]:
        return [call for call in self.calls if call.action == action]

    @property
    def hook_results(self) -> list[object]:
        return [call.parameters["LifecycleActionResult"] for call in self.called("CompleteLifecycleAction")]

    @property
    def refusals(self) -> list[object]:
        """Reasons that the instance was tagged with."""
        return [call.parameters["Tag.1.Value"] for call in self.called("CreateTags")]

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        wrong = signature.fault(path, headers, body, KEYS)
        service, action = called(headers, "/", body)
        if wrong:
            self.faults.append(wrong)
            return 403, refusal(service, *wrong.split(": ", 1))[2].decode()
        if self.failures:
            self.failures -= 1
            return 500, "<ErrorResponse><Error><Code>InternalFailure</Code></Error></ErrorResponse>"
        if action in self.denied:
            return 403, refusal(service, "AccessDenied", f"not authorized to perform {service}:{action}")[2].decode()
        self.calls.append(Call(service, action, _region(headers), _parameters(headers, body)))
        if service == "ssm":
            return 200, json.dumps({"Parameter": {"Name": "join-token", "Value": self.join_token}})
        if service == "secretsmanager":
            return 200, json.dumps({"Name": "join-token", "SecretString": self.join_token})
        return 200, f"<{action}Response/>"


def _region(headers: dict[str, str]) -> str:
    return headers["authorization"].partition("Credential=")[2].split("/")[2]


def _parameters(headers: dict[str, str], body: bytes) -> dict[str, object]:
    if "x-amz-target" in headers:
        return dict(json.loads(body))
    return dict(parse_qsl(body.decode(), keep_blank_values=True))


def _handler(cloud: Cloud) -> type[BaseHTTPRequestHandler]:
    known = {
        "/latest/meta-data/instance-id": INSTANCE,
        _FOLDER: ROLE,
        _FOLDER + ROLE: json.dumps(
            {"Code": "Success", "AccessKeyId": KEYS.access, "SecretAccessKey": KEYS.secret, "Token": KEYS.token}
        ),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            asked = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
            found = self.path == "/latest/api/token" and asked
            self._reply(200 if found else 400, _SESSION if found else "")

        def do_GET(self) -> None:
            if self.headers.get("X-aws-ec2-metadata-token") != _SESSION:
                self._reply(401, "")
            elif self.path in known:
                self._reply(200, known[self.path])
            else:
                self._reply(404, "")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._reply(*cloud.answer(self.path, headers, body))

        def _reply(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """The calls are kept; the log would only interleave with pytest's output."""

    return Handler
