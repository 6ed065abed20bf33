"""Identities of the sandbox that have the rights of docs/rbac and docs/iam and no others, and what they asked for."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from sandbox.aws import identities
from sandbox.engine import REPOSITORY
from sandbox.stack import Sandbox

RBAC, IAM = REPOSITORY / "docs" / "rbac", REPOSITORY / "docs" / "iam"
DRAIN_ROLE = "arn:aws:iam::123456789012:role/nodepools-drain"
UP_KEY, PREVIEW_KEY, OPERATOR_KEY = "UP", "PREVIEW", "OPERATOR"
_AWS = {
    UP_KEY: ("up.json",),
    PREVIEW_KEY: ("preview.json",),
    DRAIN_ROLE: ("drain.json",),
    OPERATOR_KEY: ("up.json", "drain.json"),
}
"""An operator has no role for drains: by default one identity has both policies."""
_KEYS = {"up": UP_KEY, "preview": PREVIEW_KEY, "operator": OPERATOR_KEY}
_MAKING = ("nodepools-up", "nodepools-drain")
_GROUPS = {"up": _MAKING, "preview": ("nodepools-preview",), "operator": _MAKING}
AGENT = "pulumi-nodepools"


def lay_down(sandbox: Sandbox) -> None:
    """Apply the roles to the cluster, and let AWS know its named callers."""
    subprocess.run(["kubectl", "apply", "-f", str(RBAC)], env=sandbox.env, check=True, capture_output=True)
    known = {caller: [str(IAM / file) for file in files] for caller, files in _AWS.items()}
    adopted = sandbox.root / "aws" / "adopted.json"
    adopted.write_text(json.dumps(_of_adopted_groups()))
    known[DRAIN_ROLE].append(str(adopted))
    (sandbox.root / "aws" / identities.FILE).write_text(json.dumps(known))


def lay_down_for(sandbox: Sandbox, *clusters: str) -> None:
    """Let an operator have the same rights in clusters of other names, as docs/security.md says to write them."""
    path = sandbox.root / "aws" / identities.FILE
    known = json.loads(path.read_text())
    for cluster in clusters:
        for file in _AWS[OPERATOR_KEY]:
            own = sandbox.root / "aws" / f"{cluster}-{file}"
            own.write_text((IAM / file).read_text().replace("/prod-*", f"/{cluster}-*"))
            known[OPERATOR_KEY].append(str(own))
    path.write_text(json.dumps(known))


def _of_adopted_groups() -> dict[str, Any]:
    """What docs/security.md tells those to add who adopt groups: the same rights, on groups of other names."""
    statements = json.loads((IAM / "drain.json").read_text())["Statement"]
    return {
        "Statement": [
            {**one, "Resource": one["Resource"].replace("/prod-*", "/legacy-*")}
            for one in statements
            if one["Sid"] == "FreezeThawAndEmptyGroups"
        ]
    }


def environment(sandbox: Sandbox, role: str, user: str = "") -> dict[str, str]:
    """The environment of somebody with the rights of `up`, `preview` or `operator` only, called like that or `user`."""
    path = sandbox.root / f"{user or role}.kubeconfig"
    sandbox.control_plane.mint_kubeconfig(path, user or role, _GROUPS[role])
    return {"KUBECONFIG": str(path), "AWS_ACCESS_KEY_ID": _KEYS[role]}


def asked_of_aws(sandbox: Sandbox, caller: str, *, allowed: bool = True) -> set[str]:
    """The actions that a named caller asked for, and whether he got them."""
    log = sandbox.root / "aws" / identities.LOG
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return {line["action"] for line in lines if line["caller"] == caller and line["allowed"] is allowed}


def asked_of_cluster(sandbox: Sandbox, user: str, *, library: bool) -> set[tuple[str, str, str]]:
    """(API group, resource, verb) of all that a user was allowed, by the library itself or by others on his behalf."""
    events = (json.loads(line) for line in sandbox.control_plane.audit_log.read_text().splitlines())
    mine = (event for event in events if event["user"]["username"] == user and "objectRef" in event)
    return {
        right
        for event in mine
        if (event.get("userAgent") == AGENT) is library and event["responseStatus"]["code"] != 403
        for right in _rights(event)
    }


def _rights(event: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    about = event["objectRef"]
    name = "/".join(filter(None, (about["resource"], about.get("subresource"))))
    yield about.get("apiGroup", ""), name, event["verb"]
    if event["verb"] == "patch" and event["responseStatus"]["code"] == 201:
        yield about.get("apiGroup", ""), name, "create"


def granted_by_rbac(*files: str) -> set[tuple[str, str, str]]:
    """(API group, resource, verb) of every rule in files of docs/rbac."""
    documents = [one for file in files for one in yaml.safe_load_all((RBAC / file).read_text())]
    return {
        (group, resource, verb)
        for document in documents
        for rule in document.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def granted_by_iam(file: str, leave_out: Sequence[str] = ()) -> set[str]:
    """Every action in a file of docs/iam, but those of the statements named."""
    statements = json.loads((IAM / file).read_text())["Statement"]
    listed = [one["Action"] for one in statements if one["Sid"] not in leave_out]
    return {action for actions in listed for action in ([actions] if isinstance(actions, str) else actions)}
