"""Who calls the simulated AWS, and what IAM policies let him do: tests run with exactly the rights that are documented.

`identities.json` in the server's state folder: {access key id, or ARN of a role: [files with policy documents]}. Who is
not named there may do everything. What named callers ask for is written to `requests.jsonl`, one request a line.
Conditions, denials and the rights that AWS asks for inside of a call (iam:PassRole, ec2:RunInstances) are not judged.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

FILE, LOG = "identities.json", "requests.jsonl"
_PLACES = (
    (
        "autoscaling",
        "AutoScalingGroupName",
        "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{}",
    ),
    (
        "autoscaling",
        "Tags.member.1.ResourceId",
        "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{}",
    ),
    ("ec2", "LaunchTemplateId", "arn:aws:ec2:{region}:{account}:launch-template/{}"),
    ("ec2", "LaunchTemplateName", "arn:aws:ec2:{region}:{account}:launch-template/{}"),
    ("ec2", "ResourceId.1", "arn:aws:ec2:{region}:{account}:launch-template/{}"),
    ("elasticloadbalancing", "TargetGroupArn", "{}"),
    ("elasticloadbalancing", "LoadBalancerName", "arn:aws:elasticloadbalancing:{region}:{account}:loadbalancer/{}"),
    ("iam", "PolicySourceArn", "{}"),
    ("iam", "InstanceProfileName", "arn:aws:iam::{account}:instance-profile/{}"),
    ("iam", "RoleName", "arn:aws:iam::{account}:role/{}"),
    ("ssm", "Name", "arn:aws:ssm:{region}:{account}:parameter{}"),
    ("sts", "RoleArn", "{}"),
)
"""Service, parameter that names the resource, ARN. Calls that describe are allowed on everything or not at all."""
_ALWAYS = frozenset({"sts:GetCallerIdentity"})


@dataclass(frozen=True)
class Request:
    """One call: its IAM action, and the ARN it works on: `*` where it has none, empty where the call does not say."""

    action: str
    resource: str


def request_of(service: str, action: str, region: str, account: str, body: bytes) -> Request:
    """What IAM is asked about a call."""
    name, parameters = f"{service}:{action}", _parameters(body)
    if action.startswith("Describe"):
        return Request(name, "*")
    arns = [
        arn.format(parameters[key], region=region, account=account)
        for of, key, arn in _PLACES
        if of == service and key in parameters
    ]
    return Request(name, arns[0] if arns else "")


def allows(documents: Sequence[Mapping[str, Any]], request: Request) -> bool:
    """Whether one statement of these policies allows the request."""
    return request.action in _ALWAYS or any(
        statement["Effect"] == "Allow"
        and any(fnmatchcase(request.action.lower(), one.lower()) for one in _listed(statement["Action"]))
        and any(not request.resource or fnmatchcase(request.resource, one) for one in _listed(statement["Resource"]))
        for document in documents
        for statement in document["Statement"]
    )


class Identities:
    """The file as the server sees it, read on every use."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir

    def policies(self, caller: str) -> list[dict[str, Any]] | None:
        """The caller's policies; None if he may do everything."""
        try:
            known = json.loads((self._folder / FILE).read_text())
        except FileNotFoundError:
            return None
        return [json.loads(Path(file).read_text()) for file in known[caller]] if caller in known else None

    def allowed(self, caller: str, request: Request) -> bool:
        """Judge a request, and write it down if the caller is a named one."""
        policies = self.policies(caller)
        if policies is None:
            return True
        allowed = allows(policies, request)
        line = {
            "time": time.time(),
            "caller": caller,
            "action": request.action,
            "resource": request.resource,
            "allowed": allowed,
        }
        with (self._folder / LOG).open("a") as log:
            log.write(json.dumps(line) + "\n")
        return allowed


def _parameters(body: bytes) -> dict[str, str]:
    text = body.decode("utf-8", "replace")
    if text.startswith("{"):
        return {key: value for key, value in json.loads(text).items() if isinstance(value, str)}
    return {key: values[0] for key, values in parse_qs(text).items()}


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
