"""Credentials that end between two batches of a real `pulumi up`: nothing more is evicted, and the next one goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sandbox.engine import Config, Project
from tests.e2e.conftest import NEW, NEW_SPEC, OLD, Cloud, activate
from tests.e2e.record import uninterrupted
from tests.e2e.versions import serves
from tests.started import UP, Engine

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(300)]
BETWEEN = """#!/bin/sh
[ "$NODEPOOLS_BATCH" = 1 ] || exit 0
touch asked
until [ -e answered ]; do sleep 0.1; done
"""
SYSTEM = "/api/v1/namespaces/kube-system/serviceaccounts"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ACCOUNT = {"kind": "ServiceAccount", "name": "pipeline", "namespace": "kube-system"}


class Aws:
    """The sessions of all callers of the simulated AWS."""

    refused = "the credentials have expired"
    foreseen = ""

    def __init__(self, cloud: Cloud, _project: Project) -> None:
        self._cloud = cloud

    def end(self) -> None:
        self._cloud.switch_aws({"expiredToken": True})

    def renew(self) -> None:
        self._cloud.switch_aws({})


class Token:
    """A ServiceAccount with the rights of docs/rbac, whose token stands in the kubeconfig of `pulumi up`."""

    refused = "are not accepted: log in again"
    foreseen = "but a drain may take 20 min (drain.totalTimeout)"

    def __init__(self, cloud: Cloud, project: Project) -> None:
        self._client, self._file = cloud.client, Path(project.env["KUBECONFIG"]).with_name("pipeline.kubeconfig")
        self._document = yaml.safe_load(Path(project.env["KUBECONFIG"]).read_text())
        project.env["KUBECONFIG"] = str(self._file)
        for role in ("nodepools-up", "nodepools-drain"):
            self._bind(f"{RBAC}/clusterrolebindings", "ClusterRole", role)
            self._bind(f"{RBAC}/namespaces/kube-system/rolebindings", "Role", role)
        self.renew()

    def _bind(self, path: str, kind: str, role: str) -> None:
        group = "rbac.authorization.k8s.io"
        body = {"metadata": {"name": f"pipeline-{role}"}, "subjects": [ACCOUNT]}
        self._client.create(path, {**body, "roleRef": {"apiGroup": group, "kind": kind, "name": role}})

    def renew(self) -> None:
        self._client.create(SYSTEM, {"metadata": {"name": ACCOUNT["name"]}})
        asked = {"spec": {"expirationSeconds": 600}}
        token = self._client.create(f"{SYSTEM}/{ACCOUNT['name']}/token", asked)["status"]["token"]
        self._document["users"][0]["user"] = {"token": token}
        self._file.write_text(yaml.safe_dump(self._document))

    def end(self) -> None:
        """Without its account a token is good for nothing; the server remembers it for some seconds."""
        self._client.delete(f"{SYSTEM}/{ACCOUNT['name']}")


def _held_between_batches(config: Config) -> None:
    gate = {"command": ["./between"], "commandTimeout": "120s", "consecutive": 1, "interval": "200ms"}
    config["nodepools:pools"]["lapse"]["drain"].update(batchGate=gate, timeout="60s", totalTimeout="20m")


@pytest.mark.parametrize("credentials", [Aws, Token])
def test_credentials_that_end_in_a_drain_stop_it_and_with_new_ones_it_goes_on(
    cloud: Cloud, make_project, credentials: Callable[[Cloud, Project], Aws | Token]
) -> None:
    project = make_project("lapse")
    between = project.folder / "between"
    between.write_text(BETWEEN)
    between.chmod(0o755)
    project.edit(_held_between_batches)
    owned = credentials(cloud, project)
    project.up("--skip-preview").expect()
    cloud.deployment("web", "lapse", replicas=4, budget={"maxUnavailable": 1})
    try:
        with uninterrupted(cloud, "lapse", f"expired-{type(owned).__name__.lower()}"):
            project.edit(activate("lapse", NEW, NEW_SPEC))
            engine = Engine(project.start(*UP))
            cloud.until(lambda: (project.folder / "asked").exists() or engine.process.poll() is not None, 120)
            left = _on_old_nodes(cloud)
            assert left, engine.output
            owned.end()
            (project.folder / "answered").touch()
            stopped = engine.wait(120).fails().output
            assert owned.refused in stopped
            assert owned.foreseen in stopped
            assert "Traceback" not in stopped
            assert _on_old_nodes(cloud) == left, "nothing more was evicted"
            owned.renew()
            project.up("--skip-preview").expect()
            assert set(cloud.groups("lapse")) == {NEW}
            serves(cloud, "lapse", NEW, app="web")
    finally:
        cloud.switch_aws({})
        cloud.remove("web")


def _on_old_nodes(cloud: Cloud) -> set[str]:
    """UIDs of the pods that nobody has sent away from there."""
    old = {node["metadata"]["name"] for node in cloud.nodes("lapse", OLD)}
    pods = [pod for pod in cloud.pods("web") if "deletionTimestamp" not in pod["metadata"]]
    return {pod["metadata"]["uid"] for pod in pods if pod["spec"].get("nodeName") in old}
