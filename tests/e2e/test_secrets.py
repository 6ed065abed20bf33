"""What may be seen of a replacement by whoever sees its terminal, its processes, its state, its files or the cluster's
objects: no secret that it works with.

The canaries are the real secrets of the run: the join token in its parameter, the AWS key, the key and the certificate
that the cluster is entered with. The state is looked at as a user with its passphrase would see it.
"""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sandbox.aws.world import JOIN_TOKEN
from sandbox.engine import Project
from sandbox.processes import session_members
from tests.e2e.conftest import NEW, NEW_SPEC, Cloud, activate
from tests.started import Engine

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.timeout(300)]
AWS_KEY = "canary-of-an-aws-secret-key-0123456789"


def canaries(cloud: Cloud) -> dict[str, str]:
    (user,) = yaml.safe_load(cloud.sandbox.kubeconfig.read_text())["users"]
    entered = {name: value for name, value in user["user"].items() if name.endswith("-data")}
    assert "client-key-data" in entered
    return {"join token": JOIN_TOKEN, "AWS key": AWS_KEY, **entered}


class CommandLines(threading.Thread):
    """Every command line that is seen in a session while it runs."""

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self._session, self._over = session, threading.Event()
        self.seen: set[str] = set()

    def run(self) -> None:
        while not self._over.wait(0.05):
            for pid in session_members(self._session):
                try:
                    self.seen.add(Path(f"/proc/{pid}/cmdline").read_text(errors="replace"))
                except OSError:
                    continue

    def end(self) -> str:
        self._over.set()
        self.join()
        return "\n".join(self.seen)


def places(cloud: Cloud, project: Project, reports: Path) -> Iterator[tuple[str, str]]:
    """Where something of it is kept afterwards, and what is there."""
    yield "the state", project.run("stack", "export", "--stack", project.stack, "--show-secrets").expect().output
    yield "the configuration", project.config_file.read_text()
    for path in sorted(reports.iterdir()):
        yield path.name, path.read_text()
    for kind in ("nodes", "events", "configmaps"):
        yield f"the cluster's {kind}", json.dumps(cloud.client.get(f"/api/v1/{kind}"))
    groups = cloud.aws("autoscaling").describe_tags()["Tags"]
    yield "tags", json.dumps(groups)
    templates = cloud.aws("ec2").describe_launch_template_versions(Versions=["$Latest"])["LaunchTemplateVersions"]
    yield "launch templates", json.dumps(templates, default=str)


def test_no_secret_is_seen_anywhere(cloud: Cloud, make_project, tmp_path) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    secrets = canaries(cloud)
    project = make_project("sealed")
    project.up("--skip-preview").expect()
    cloud.deployment("web", "sealed", replicas=2, budget={"maxUnavailable": 1})
    try:
        project.edit(activate("sealed", NEW, NEW_SPEC))
        env = {"NODEPOOLS_REPORT_DIR": str(reports), "AWS_SECRET_ACCESS_KEY": AWS_KEY}
        engine = Engine(project.start("up", "--stack", project.stack, "--yes", "--non-interactive", "--debug", env=env))
        lines = CommandLines(engine.process.pid)
        lines.start()
        output = engine.wait(240).expect().output
        commands = lines.end()
        assert "pulumi.dynamic" in commands, "the hook's process was among them"
        assert [path for path in reports.iterdir() if path.suffix == ".json"]
        found = [("the terminal", output), ("a command line", commands), *places(cloud, project, reports)]
        leaks = [f"{name} in {place}" for place, text in found for name, secret in secrets.items() if secret in text]
        assert not leaks
    finally:
        cloud.remove("web")
