"""Each instance's metadata service (IMDSv2 only) and the other end of its stand-in tools, on one loopback port.

`/<instance id>/latest/…` is what the instance sees of EC2, `/<instance id>/aws/` every AWS API, whose requests must be
signed with the credentials of the role, and `/<instance id>/tools/<tool>` is for the files in tools/.
"""

import json
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

from sandbox.aws import signature
from sandbox.aws.gatekeeper import called, refusal
from sandbox.fleet.machine import Machine

ROLE = "iam/security-credentials/"
_ROLE_NAME = "node"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"  # noqa: S105 - the name of a header


class MetadataServer:
    """Serves the machines that `find` knows until `close`."""

    def __init__(self, find: Callable[[str], Machine | None]) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.find = find
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="metadata", daemon=True)
        self._thread.start()

    def urls(self, instance_id: str) -> dict[str, str]:
        """The environment that leads an instance's scripts here."""
        base = f"http://127.0.0.1:{self._server.server_port}/{instance_id}"
        return {"NODEPOOLS_METADATA": base, "FLEET_TOOLS": f"{base}/tools", "NODEPOOLS_ENDPOINT": f"{base}/aws"}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    find: Callable[[str], Machine | None]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.token = secrets.token_urlsafe(24)
        self.keys = signature.Keys(f"ASIA{secrets.token_hex(8).upper()}", *(secrets.token_urlsafe(30) for _ in "12"))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A script that is killed by its reboot leaves its connection: nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_PUT(self) -> None:
        machine, path = self._target()
        if machine is None or path != "latest/api/token":
            self._answer(404, "")
        elif not self.headers.get(TTL, "").isdigit():
            self._answer(400, "")
        else:
            self._answer(200, self.server.token)

    def do_GET(self) -> None:
        machine, path = self._target()
        if machine is None:
            self._answer(404, "")
        elif self.headers.get(TOKEN) != self.server.token:
            self._answer(401, "")
        else:
            value = _metadata(machine, self.server.keys).get(path.removeprefix("latest/meta-data/"))
            self._answer(404 if value is None else 200, value or "")

    def do_POST(self) -> None:
        machine, path = self._target()
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if machine is not None and path == "aws/":
            self._call_aws(machine, body)
            return
        if machine is None or not path.startswith("tools/"):
            self._answer(404, "")
            return
        words = parse_qs(body.decode(), keep_blank_values=True).get("word", [])
        try:
            status, text = machine.command(path.removeprefix("tools/"), words)
        except Exception as error:  # noqa: BLE001 - the script must see a failed command, whatever failed
            status, text = 70, f"the sandbox failed: {type(error).__name__}: {error}"
        self._answer(200, f"{status}\n{text}")

    def _call_aws(self, machine: Machine, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        wrong = signature.fault(self.path, headers, body, self.server.keys)
        if wrong:
            code, _, message = wrong.partition(": ")
            status, _, data = refusal(called(headers, "/", body)[0], code, message)
        else:
            status, _, data = machine.call_aws(headers, body)
        self._answer(status, data.decode())

    def _target(self) -> tuple[Machine | None, str]:
        _, instance_id, path = [*unquote(self.path).split("/", 2), "", ""][:3]
        return self.server.find(instance_id), path

    def _answer(self, status: int, text: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Requests are the scripts' business; their output is kept beside them."""


def _metadata(machine: Machine, keys: signature.Keys) -> dict[str, str]:
    one = machine.instance
    role = {"Code": "Success", "AccessKeyId": keys.access, "SecretAccessKey": keys.secret, "Token": keys.token}
    tags = {f"tags/instance/{key}": value for key, value in one.tags.items()}
    return {
        ROLE: _ROLE_NAME,
        ROLE + _ROLE_NAME: json.dumps(role),
        "instance-id": one.id,
        "ami-id": one.image,
        "instance-type": one.type,
        "local-hostname": one.dns,
        "local-ipv4": one.address,
        "placement/availability-zone": one.zone,
        "placement/region": one.zone[:-1],
        **tags,
    }
