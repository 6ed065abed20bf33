"""The fleet as its own process, against a real API server: what it registers becomes Ready, what ends is removed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_case import REPOSITORY, Aws, running_aws, until
from fleet_case import in_service, launch

from pulumi_nodepools import names
from sandbox.binaries import locate
from sandbox.control_plane import ControlPlane
from sandbox.processes import start_time

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path_factory.mktemp("plane"), locate().paths)
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with running_aws(tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@pytest.fixture
def process(aws: Aws, plane: ControlPlane, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    options = ["--kubeconfig", str(plane.kubeconfig), "--endpoint", aws.endpoint, "--state-dir", str(tmp_path)]
    with (tmp_path / "log").open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "sandbox.fleet", *options, "--boot-seconds", "0.1"],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=log,
            stderr=log,
        )
    yield started
    if started.poll() is None:
        started.terminate()
        started.wait(10)


def ready_nodes(plane: ControlPlane) -> dict[str, Any]:
    items = plane.request("GET", "/api/v1/nodes")[1]["items"]
    return {
        item["spec"]["providerID"].rsplit("/", 1)[-1]: item
        for item in items
        if any(one["type"] == "Ready" and one["status"] == "True" for one in item["status"].get("conditions", []))
    }


def test_nodes_become_ready_and_leave_with_their_instances(process, aws, plane, tmp_path):
    group = launch(aws, 3)
    ids = in_service(aws, group, 3)
    nodes = until(lambda: len(found := ready_nodes(plane)) == 3 and found, timeout=90)
    assert set(nodes) == set(ids)
    for node in nodes.values():
        assert node["metadata"]["labels"][names.VALIDATED_LABEL] == "worker-7.7.1908"
        assert node["status"]["nodeInfo"]["kernelVersion"] == "3.10.0-1062.4.1.el7.x86_64"
        assert node["status"]["allocatable"]["pods"] == "110"
        assert {"key": "dedicated", "value": "ci", "effect": "NoSchedule"} in node["spec"]["taints"]
    aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=group, ForceDelete=True)
    until(lambda: plane.request("GET", "/api/v1/nodes")[1]["items"] == [], timeout=90)
    states = {one["state"] for one in json.loads((tmp_path / "instances.json").read_text()).values()}
    assert states == {"terminated"}


def test_sigterm_ends_it_at_once_with_what_it_runs(process, aws, tmp_path):
    launch(aws, 2, text="#!/bin/sh\nsleep 300 &\necho $! >&2\nwait\n")
    outputs = tmp_path / "roots"
    files = until(lambda: len(found := [f for f in outputs.glob("*/var/lib/output") if f.read_text()]) == 2 and found)
    scripts = [int(file.read_text()) for file in files]
    began = time.monotonic()
    process.terminate()
    assert process.wait(10) == 0
    assert time.monotonic() - began < 5
    assert [start_time(pid) for pid in scripts] == [None, None], "children of the scripts too"
