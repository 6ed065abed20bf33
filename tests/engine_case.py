"""What tests with the real engine share: a sandbox per tier; per test a stack with its own pools and node names."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import msgspec

from pulumi_nodepools import names
from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.client import Client
from sandbox.aws.switches import write_switches
from sandbox.engine import REPOSITORY, Config, Project
from sandbox.stack import ROOT_VARIABLE, Sandbox
from tests import rights_case

OLD, NEW = "7.6.1810", "7.7.1908"
OLD_SPEC: Config = {"imageId": "ami-0aaaaaaaaaaa76181", "osFamily": "el7"}
NEW_SPEC: Config = {
    "imageId": "ami-0bbbbbbbbbbb77190",
    "osFamily": "el7",
    "kernel": {"arguments": ["cgroup.memory=nokmem"], "minimumVersion": "3.10.0-1062.4.1"},
}
BAD_SPEC: Config = {**NEW_SPEC, "imageId": "ami-0bad0bad0bad0bad0"}


@dataclass
class Cloud:
    """What a test may look at and touch beside the engine: the cluster, AWS, and the fleet's switches."""

    sandbox: Sandbox
    client: Client
    _labels: dict[str, dict[str, str]] = field(default_factory=dict)
    """Those of each app's pods. What an app of the same name has left behind from an earlier test is not among them."""

    def aws(self, service: str) -> Any:
        env = self.sandbox.env
        return boto3.client(
            service,
            endpoint_url=env["AWS_ENDPOINT_URL"],
            region_name=env["AWS_REGION"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        )

    def groups(self, pool: str) -> dict[str, dict[str, Any]]:
        """The pool's Auto Scaling groups by version."""
        found = self.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        prefix = f"prod-{pool}-"
        return {
            group["AutoScalingGroupName"].removeprefix(prefix): group
            for group in found
            if group["AutoScalingGroupName"].startswith(prefix)
        }

    def nodes(self, pool: str, version: str | None = None) -> list[dict[str, Any]]:
        selector = f"{names.POOL_LABEL}={pool}" + (f",{names.VERSION_LABEL}={version}" if version else "")
        found: list[dict[str, Any]] = self.client.get("/api/v1/nodes", labelSelector=selector)["items"]
        return found

    def schedulable(self, pool: str, version: str) -> int:
        return sum(not node["spec"].get("unschedulable") for node in self.nodes(pool, version))

    def deployment(
        self,
        name: str,
        pool: str,
        *,
        replicas: int,
        budget: dict[str, Any] | None = None,
        selector: dict[str, str] | None = None,
    ) -> None:
        """A Deployment bound to the pool's nodes (or `selector`), with an optional disruption budget, waited for."""
        labels = self._labels[name] = {"app": name, "made": str(time.time_ns())}
        spec = {
            "nodeSelector": selector or {names.POOL_LABEL: pool},
            "containers": [{"name": "main", "image": "example.com/main:1", "resources": {"requests": {"cpu": "1"}}}],
        }
        body = {
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        }
        path = "/apis/apps/v1/namespaces/default/deployments"
        self.client.create(path, {"apiVersion": "apps/v1", "kind": "Deployment", **body})
        if budget is not None:
            self.client.create(
                "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
                {
                    "apiVersion": "policy/v1",
                    "kind": "PodDisruptionBudget",
                    "metadata": {"name": name},
                    "spec": {**budget, "selector": {"matchLabels": labels}},
                },
            )
        self.until(lambda: self.client.get(f"{path}/{name}").get("status", {}).get("readyReplicas") == replicas)

    def pods(self, name: str) -> list[dict[str, Any]]:
        selector = ",".join(f"{key}={value}" for key, value in self._labels[name].items())
        found: list[dict[str, Any]] = self.client.get("/api/v1/namespaces/default/pods", labelSelector=selector)[
            "items"
        ]
        return found

    def remove(self, name: str) -> None:
        for path in (
            f"/apis/apps/v1/namespaces/default/deployments/{name}",
            f"/apis/policy/v1/namespaces/default/poddisruptionbudgets/{name}",
        ):
            with contextlib.suppress(Exception):
                self.client.delete(path)

    def switch_images(self, images: dict[str, dict[str, Any]]) -> None:
        """Set the fleet's fault switches; see docs/sandbox.md."""
        (self.sandbox.root / "fleet" / "switches.json").write_text(json.dumps(images))

    def switch_aws(self, switches: dict[str, Any]) -> None:
        """Set the fault switches of the simulated AWS, all at once."""
        write_switches(self.sandbox.root / "aws", switches)

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Follow node events until `condition` holds: every change that tests wait for moves some node or pod."""
        deadline = time.monotonic() + seconds
        version = self.client.get("/api/v1/pods", limit="1")["metadata"]["resourceVersion"]
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not true within {seconds:.0f} s")
            for line in self.client.watch_lines("/api/v1/pods", resource_version=version, timeout_seconds=1):
                event = msgspec.json.decode(line)
                version = event["object"]["metadata"].get("resourceVersion", version)
                break


@contextlib.contextmanager
def running_cloud(name: str) -> Iterator[Cloud]:
    """A sandbox of its own per tier, so that two tiers may run at once."""
    root = Path(os.environ.get(ROOT_VARIABLE) or REPOSITORY / ".sandbox") / name
    with Sandbox(root=root, audit=True) as sandbox:
        rights_case.lay_down(sandbox)
        yield Cloud(sandbox, Client.connect(Access(kind="kubeconfig", path=str(sandbox.kubeconfig))))


@contextlib.contextmanager
def projects(cloud: Cloud, folder: Path, *, administrators: bool = False) -> Iterator[Callable[..., Project]]:
    """Builds projects whose stack has the given two-node pools at the old version; destroyed afterwards.

    They run with exactly the rights of docs/rbac and docs/iam, unless as administrators, all or one of them.
    """
    made: list[tuple[Project, tuple[str, ...]]] = []

    def make(*pools: str, administrator: bool | None = None) -> Project:
        unlimited = administrators if administrator is None else administrator
        limited = {} if unlimited else rights_case.environment(cloud.sandbox, "up")
        project = Project(folder / "project", {**cloud.sandbox.env, **limited})
        project.create()
        project.edit(lambda config: _small_pools(config, pools))
        if not unlimited:
            project.edit(lambda config: config["nodepools:cluster"]["access"].update(roleArn=rights_case.DRAIN_ROLE))
        made.append((project, pools))
        return project

    yield make
    for project, pools in made:
        versions = [f"prod/{pool}/{version}" for pool in pools for version in (OLD, NEW)]
        project.destroy("--skip-preview", env={names.DRAIN_SKIP_VARIABLE: ",".join(versions)})
        # The next test's stack has the same name.
        project.run("stack", "rm", "--stack", project.stack, "--yes", "--force")
    cloud.switch_images({})


def _small_pools(config: Config, pools: tuple[str, ...]) -> None:
    template = config["nodepools:pools"].pop("worker")
    template["size"] = {"min": 1, "max": 6, "initial": 2}
    template["drain"].update(batchSoak="0s", timeout="20s", totalTimeout="60s", batchSize=1)
    template["gate"] = {"timeout": "60s", "consecutive": 1, "interval": "500ms"}
    template["active"], template["versions"] = OLD, {OLD: OLD_SPEC}
    for pool in pools:
        config["nodepools:pools"][pool] = json.loads(json.dumps(template))


def activate(pool: str, version: str, spec: Config) -> Callable[[Config], None]:
    """The edit that makes `version` the only one of `pool`."""

    def change(config: Config) -> None:
        config["nodepools:pools"][pool].update(active=version, versions={version: spec})

    return change
