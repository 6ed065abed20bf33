"""In front of moto: one request at a time, and the refusals of switches and policies, in each service's own words.

A few pages are not AWS's but the sandbox's own; whose they are, `pages` says.

moto is not thread-safe and its Auto Scaling groups are also changed by our timer, so one lock serves both.
"""

import importlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from sandbox.aws.identities import Identities, Request, allows, request_of
from sandbox.aws.switches import Switches

Page = Callable[[bytes], dict[str, Any]]
App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Gatekeeper:
    """A WSGI application around moto's."""

    def __init__(
        self,
        app: App,
        switches: Switches,
        identities: Identities,
        lock: threading.RLock,
        *,
        account: str,
        pages: Mapping[str, Page],
    ) -> None:
        self._app = app
        self._switches = switches
        self._identities = identities
        self._lock = lock
        self._pages = pages
        self._account = account

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if page := self._pages.get(environ.get("PATH_INFO", "")):
            with self._lock:
                told = json.dumps(page(body)).encode()
            return _answer(start_response, 200, "application/json", told)
        environ["wsgi.input"] = BytesIO(body)
        headers = {key.removeprefix("HTTP_").replace("_", "-").lower(): value for key, value in environ.items()}
        service, action = called(headers, environ.get("PATH_INFO", ""), body)
        key, region = _scope(headers)
        answered = self._refusal(key, service, request_of(service, action, region, self._account, body))
        if answered is None and action == "SimulatePrincipalPolicy":
            answered = self._simulation(body)
        if answered is not None:
            return _answer(start_response, *answered)
        with self._lock:
            return list(self._app(environ, start_response))

    def _refusal(self, key: str, service: str, request: Request) -> tuple[int, str, bytes] | None:
        if not service:
            return None
        if self._switches.expired_token:
            if service == "ec2":
                return refusal(service, "RequestExpired", "Request has expired.", 400)
            message = "The security token included in the request is expired"
            return refusal(service, "ExpiredToken", message)
        caller = self._caller(key)
        if not self._identities.allowed(caller, request) or self._switches.denied(request.action):
            text = f"User: {caller} is not authorized to perform: {request.action} on resource: {request.resource}"
            text += f" because no identity-based policy allows the {request.action} action"
            if service == "ec2":
                text = f"You are not authorized to perform this operation. {text}"
                return refusal(service, "UnauthorizedOperation", text)
            return refusal(service, "AccessDenied", text)
        return None

    def _caller(self, key: str) -> str:
        """The ARN of the role whose temporary credentials these are, or the key itself."""
        backends = importlib.import_module("moto.sts.models").sts_backends
        with self._lock:
            role = backends[self._account]["aws"].get_assumed_role_from_access_key(key)
        return str(role.role_arn) if role else key

    def _simulation(self, body: bytes) -> tuple[int, str, bytes]:
        """What IAM's policy simulator says of a caller's policies; moto has none."""
        asked = parse_qs(body.decode())
        policies = self._identities.policies(asked["PolicySourceArn"][0])
        resource = asked.get("ResourceArns.member.1", ["*"])[0]
        results = ""
        for action in (values[0] for name, values in asked.items() if name.startswith("ActionNames.")):
            may = policies is None or allows(policies, Request(action, resource))
            decision = "allowed" if may and not self._switches.denied(action) else "implicitDeny"
            inner = f"<EvalActionName>{action}</EvalActionName><EvalDecision>{decision}</EvalDecision>"
            results += f"<member>{inner}<EvalResourceName>{escape(resource)}</EvalResourceName></member>"
        result = f"<EvaluationResults>{results}</EvaluationResults><IsTruncated>false</IsTruncated>"
        name = "SimulatePrincipalPolicy"
        text = f"<{name}Response><{name}Result>{result}</{name}Result></{name}Response>"
        return 200, "text/xml", text.encode()


def _scope(headers: Mapping[str, Any]) -> tuple[str, str]:
    """Access key and region of a signed request; empty strings for anything else."""
    parts = headers.get("authorization", "").partition("Credential=")[2].partition(",")[0].split("/")
    return (parts[0], parts[2]) if len(parts) >= 5 else ("", "")


def _answer(start_response: Callable[..., Any], code: int, content_type: str, answer: bytes) -> list[bytes]:
    status = f"{code} {HTTPStatus(code).phrase}"
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(answer)))])
    return [answer]


def called(headers: Mapping[str, Any], path: str, body: bytes) -> tuple[str, str]:
    """(service, action) of a signed AWS request, header names in lower case; empty strings for anything else."""
    authorization = headers.get("authorization", "")
    scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    service = scope[3] if len(scope) >= 5 else ""
    target = headers.get("x-amz-target", "")
    if target:
        return service, target.rpartition(".")[2]
    if "/operation/" in path:
        return service, path.rpartition("/")[2]
    action = parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]
    return service, action


def refusal(service: str, code: str, message: str, status: int = 403) -> tuple[int, str, bytes]:
    """Status, content type and text of an error as the service words it."""
    if service in {"ssm", "secretsmanager"}:
        body = json.dumps({"__type": f"{code}Exception", "message": message}).encode()
        return 400, "application/x-amz-json-1.1", body
    inner = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if service == "ec2":
        text = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>sandbox</RequestID></Response>"
    else:
        text = f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error><RequestId>sandbox</RequestId></ErrorResponse>"
    return status, "text/xml", text.encode()
