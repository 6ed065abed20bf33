"""A fleet beside a simulated AWS, with Nodes kept in memory; and the groups that its tests launch."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aws_case import LAUNCH_HOOK, Aws, until

from pulumi_nodepools.bootstrap import Bootstrap, EksJoin, KubeadmJoin, render
from sandbox.fleet.cloud import Cloud
from sandbox.fleet.fleet import Fleet

NOKMEM = "cgroup.memory=nokmem"
GROUP = "group-of-this-launch"
OLD_IMAGE, NEW_IMAGE = "ami-0aaaaaaaaaaa76181", "ami-0bbbbbbbbbbb77190"


class MemoryNodes:
    """Nodes as an API server would keep them; `failures` makes that many writes fail first."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.killed: list[str] = []
        self.failures = 0

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionRefusedError("no API server yet")

    def register(self, node: dict[str, Any]) -> None:
        self._fail()
        self.nodes[node["metadata"]["name"]] = node

    def remove(self, name: str, provider_id: str) -> None:
        self._fail()
        if name in self.nodes and self.nodes[name]["spec"]["providerID"] == provider_id:
            del self.nodes[name]

    def kill(self, name: str) -> None:
        self.killed.append(name)


def user_data(kernel_arguments: tuple[str, ...] = (NOKMEM,), **changes: Any) -> str:
    values: dict[str, Any] = {
        "cluster": "prod",
        "endpoint": "https://127.0.0.1:6443",
        "certificate_authority": "Q0E=",
        "join": KubeadmJoin("/nodepools/prod/join-token", ("sha256:" + "a1" * 32,)),
        "region": "us-west-2",
        "pool": "worker",
        "version": "7.7.1908",
        "group": GROUP,
        "labels": {"team": "ci"},
        "taints": ("dedicated=ci:NoSchedule",),
        "kernel_arguments": kernel_arguments,
        "minimum_kernel": "3.10.0-1062.4.1" if kernel_arguments else None,
    }
    return render("el7", Bootstrap(**(values | changes)))


def eks_user_data() -> str:
    return user_data(join=EksJoin())


def launch(aws: Aws, count: int, *, image: str = NEW_IMAGE, text: str | None = None) -> str:
    """A group of `count` instances that wait for their launch hook; its name."""
    name = aws.next_name()
    encoded = base64.b64encode((user_data() if text is None else text).replace(GROUP, name).encode()).decode()
    template = aws.template(ImageId=image, UserData=encoded)
    return aws.group(template, low=count, LifecycleHookSpecificationList=[LAUNCH_HOOK], name=name)


def in_service(aws: Aws, group: str, count: int) -> list[str]:
    return until(lambda: len(found := _ids(aws, group)) == count and found, timeout=90)


def _ids(aws: Aws, group: str) -> list[str]:
    return [member["InstanceId"] for member in aws.members(group, "InService")]


@contextmanager
def running_fleet(aws: Aws, folder: Path, nodes: MemoryNodes, boot_seconds: float = 0.01) -> Iterator[Fleet]:
    fleet = Fleet(Cloud(aws.endpoint), nodes, folder, boot_seconds=boot_seconds)
    thread = threading.Thread(target=fleet.run)
    thread.start()
    try:
        yield fleet
    finally:
        fleet.stop()
        thread.join(15)
        assert not thread.is_alive(), "the fleet did not stop"
