"""Proves a node's kernel from inside the cluster, and only then takes its startup taint away.

For families whose nodes cannot answer a launch hook. Runs in a pod on each node; a container sees the kernel and the
command line of its node without any privilege. Which versions must show what is a file, mounted from a ConfigMap.
"""

import argparse
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from pulumi_nodepools import kernels, names

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
WAITING_SECONDS = 5.0
DONE_SECONDS = 60.0
_CONFLICT = 409


def refusal(requirements: dict[str, Any], labels: dict[str, str], command_line: str, release: str) -> str:
    """Why this node has not proved what its version requires; empty when it has."""
    value = names.validated_value(labels.get(names.POOL_LABEL, ""), labels.get(names.VERSION_LABEL, ""))
    required = requirements.get(value)
    if required is None:
        return f"nothing is known of {value}: it is not among {', '.join(sorted(requirements)) or 'none'}"
    missing = [one for one in required["kernelArguments"] if not kernels.booted_with(command_line, one)]
    if missing:
        return f"kernel argument {missing[0]} is not in /proc/cmdline"
    floor = required.get("minimumKernel") or ""
    if floor and not kernels.at_least(release, floor):
        return f"kernel {release} is older than {floor}"
    return ""


def change(node: dict[str, Any], why: str) -> dict[str, Any] | None:
    """The merge patch that a proved or refused node needs; None when it says so already."""
    meta, taints = node["metadata"], node["spec"].get("taints") or []
    told = (meta.get("annotations") or {}).get(names.REFUSED_TAG)
    if why:
        return None if told == why else _patch(meta, {"annotations": {names.REFUSED_TAG: why}})
    kept = [taint for taint in taints if taint["key"] != names.STARTUP_TAINT]
    if len(kept) == len(taints):
        return None
    labels = meta.get("labels") or {}
    proof = names.validated_value(labels[names.POOL_LABEL], labels[names.VERSION_LABEL])
    patch = _patch(meta, {"labels": {names.VALIDATED_LABEL: proof}, "annotations": {names.REFUSED_TAG: None}})
    return {**patch, "spec": {"taints": kept}}


def _patch(meta: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    # A list of taints is replaced whole: the version keeps it from undoing what others have just added.
    return {"metadata": {**wanted, "resourceVersion": meta["resourceVersion"]}}


class Api:
    """The node's own object, as the pod's ServiceAccount."""

    def __init__(self, server: str, account: Path, node: str) -> None:
        self._account = account
        self._url = f"{server}/api/v1/nodes/{node}"
        context = ssl.create_default_context(cafile=str(account / "ca.crt"))
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def read(self) -> dict[str, Any]:
        return self._send("GET", None)

    def write(self, patch: dict[str, Any]) -> bool:
        """False when somebody changed the node meanwhile."""
        try:
            self._send("PATCH", patch)
        except urllib.error.HTTPError as error:
            if error.code != _CONFLICT:
                raise
            return False
        return True

    def _send(self, method: str, body: dict[str, Any] | None) -> dict[str, Any]:
        # The token is renewed in place while the pod runs.
        headers = {"Authorization": f"Bearer {(self._account / 'token').read_text().strip()}"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url, data, headers, method=method)  # noqa: S310 - https, see __init__
        with self._opener.open(request, timeout=20) as answer:
            return dict(json.loads(answer.read()))


def look(api: Api, requirements: Path, proc: Path) -> float:
    """Judge once; how many seconds until it is worth another look."""
    node = api.read()
    command_line = (proc / "cmdline").read_text()
    release = (proc / "sys/kernel/osrelease").read_text().strip()
    why = refusal(json.loads(requirements.read_text()), node["metadata"].get("labels") or {}, command_line, release)
    patch = change(node, why)
    if patch is None:
        return WAITING_SECONDS if why else DONE_SECONDS
    if api.write(patch):
        print(f"refused: {why}" if why else "proved: the startup taint is gone", flush=True)  # noqa: T201
    return WAITING_SECONDS


def main() -> None:
    """Until it is ended; an API server that does not answer is asked again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requirements", type=Path, required=True)
    parser.add_argument("--account", type=Path, default=ACCOUNT)
    parser.add_argument("--proc", type=Path, default=Path("/proc"))
    options = parser.parse_args()
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    api = Api(server, options.account, os.environ["NODE_NAME"])
    while True:
        try:
            pause = look(api, options.requirements, options.proc)
        except (OSError, ValueError, KeyError) as error:  # URLError is an OSError
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
            pause = WAITING_SECONDS
        time.sleep(pause)


if __name__ == "__main__":
    main()
