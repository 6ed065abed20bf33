"""A pool as in the story, built from plain arguments, and a survey that needs no cluster."""

import gc
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pulumi_nodepools import (
    Access,
    BlueGreenNodePoolArgs,
    ClusterArgs,
    KubeadmJoin,
    NodeArgs,
    blue_green,
)
from pulumi_nodepools.aws.groups import GroupView
from pulumi_nodepools.survey import Survey, SurveyArgs
from tests.components.engine import ACCOUNT

# Every run of a program collects garbage (see engine.py); the resource SDKs' 100 MiB need not be looked at each time.
gc.freeze()

SUBNETS = ("subnet-0aaaaaaaaaaaaaaa1", "subnet-0bbbbbbbbbbbbbbb2", "subnet-0ccccccccccccccc3")
ZONES = dict(zip(SUBNETS, ("us-west-2a", "us-west-2b", "us-west-2c"), strict=True))
POLICY = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"


def make_cluster(**changes: Any) -> ClusterArgs:
    values: dict[str, Any] = {
        "name": "prod",
        "endpoint": "https://api.prod.example.com:6443",
        "certificate_authority": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
        "join": KubeadmJoin(token_parameter="/nodepools/prod/join-token", ca_cert_hashes=("sha256:" + "0" * 64,)),
        "access": Access(kind="kubeconfig", context="prod"),
        "region": "us-west-2",
    }
    return ClusterArgs(**values | changes)


def make_nodes(**changes: Any) -> NodeArgs:
    values: dict[str, Any] = {
        "image_id": "ami-0bbbbbbbbbbb77190",
        "instance_type": "m5.2xlarge",
        "subnet_ids": SUBNETS,
        "security_group_ids": ("sg-0123456789abcdef0",),
        "kernel_arguments": ("cgroup.memory=nokmem",),
        "minimum_kernel": "3.10.0-1062.4.1",
        "role_policies": (POLICY,),
        "labels": {"example.com/pool": "worker"},
        "tags": {"team": "platform"},
    }
    return NodeArgs(**values | changes)


def make_pool(version: str = "7.7.1908", nodes: NodeArgs | None = None, **changes: Any) -> BlueGreenNodePoolArgs:
    values: dict[str, Any] = {
        "cluster": make_cluster(),
        "pool": "worker",
        "active": version,
        "versions": {version: nodes or make_nodes()},
        "min_size": 3,
        "max_size": 20,
        "initial_size": 14,
    }
    return BlueGreenNodePoolArgs(**values | changes)


def seen_group(version: str) -> GroupView:
    name = f"prod-worker-{version}"
    return GroupView(name, f"arn:aws:autoscaling:::{name}", 3, 20, 14, (), ())


@pytest.fixture
def surveyed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[SurveyArgs]]:
    """Replaces the look at cluster and account; returns the list of its calls."""

    def fake(
        *,
        live: int | None = None,
        account: str = ACCOUNT,
        error: Exception | None = None,
        existing: Sequence[str] = (),
        **more: Any,
    ) -> list[SurveyArgs]:
        calls: list[SurveyArgs] = []

        def survey(asked: SurveyArgs) -> Survey:
            calls.append(asked)
            if error:
                raise error
            return Survey(
                account=account,
                cluster_uid="uid-of-kube-system",
                serving=None if live is None else "7.6.1810",
                live_size=live,
                subnet_zones=ZONES,
                free_addresses=dict.fromkeys(SUBNETS, 200),
                existing={version: (seen_group(version),) for version in existing},
                **more,
            )

        monkeypatch.setattr(blue_green, "survey", survey)
        return calls

    return fake
