"""What a booting machine asks of AWS: the metadata service (version 2 only) and the calls of its `aws` stand-in.

Runs on the host, so what a machine reports is known outside of it.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

INSTANCE = "i-0123456789abcdef0"
JOIN_TOKEN = "abcdef.0123456789abcdef"
_SESSION = "metadata-session"


class Cloud:
    """One machine's view of AWS; a context manager."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.port = self._server.server_address[1]

    def __enter__(self) -> "Cloud":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def hook_results(self) -> list[str]:
        return [call.split()[-1] for call in self.calls if "complete-lifecycle-action" in call]

    def answer(self, words: list[str]) -> str:
        """Exit status on the first line, output after it."""
        self.calls.append(" ".join(words))
        match words:
            case ["ssm", "get-parameter", *_]:
                return f"0\n{JOIN_TOKEN}"
            case ["autoscaling", "complete-lifecycle-action", *options] if {"--instance-id", INSTANCE} <= {*options}:
                return "0\n"
        return "254\n"


def _handler(cloud: Cloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            asked = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
            found = self.path == "/latest/api/token" and asked
            self._reply(200 if found else 400, _SESSION if found else "")

        def do_GET(self) -> None:
            if self.headers.get("X-aws-ec2-metadata-token") != _SESSION:
                self._reply(401, "")
            elif self.path == "/latest/meta-data/instance-id":
                self._reply(200, INSTANCE)
            else:
                self._reply(404, "")

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True)
            self._reply(200, cloud.answer(form.get("word", [])))

        def _reply(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """The calls are kept; the log would only interleave with pytest's output."""

    return Handler
