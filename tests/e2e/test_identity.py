"""Deleting with the wrong account or the wrong cluster at hand is refused; `destroy` has its own words."""

import pytest
import yaml

from pulumi_nodepools import names
from sandbox.control_plane import ControlPlane
from tests.e2e.conftest import OLD, Cloud
from tests.rights_case import environment
from tests.sandbox.aws_case import running_aws

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_destroy_is_refused_with_the_wrong_account_or_cluster(cloud: Cloud, make_project, tmp_path) -> None:
    project = make_project("safe", administrator=True)  # a role would lead to its own account
    project.env |= environment(cloud.sandbox, "operator")
    project.up("--skip-preview").expect()

    with running_aws(tmp_path, account="210987654321") as other:
        wrong = project.destroy("--skip-preview", env={"AWS_ENDPOINT_URL": other.endpoint}).fails()
    assert "210987654321" in wrong.output
    assert "123456789012" in wrong.output
    assert "Traceback" not in wrong.output
    assert cloud.schedulable("safe", OLD) == 2
    assert cloud.groups("safe")[OLD]["DesiredCapacity"] == 2

    other_cluster = ControlPlane(tmp_path / "other-cluster", cloud.sandbox.tools.paths)
    other_cluster.start()
    try:
        strayed = project.destroy("--skip-preview", env={"KUBECONFIG": str(other_cluster.kubeconfig)}).fails()
    finally:
        other_cluster.stop()
    assert "kube-system has UID" in strayed.output
    assert cloud.client.cluster_uid in strayed.output
    assert cloud.groups("safe")[OLD]["DesiredCapacity"] == 2

    elsewhere = yaml.safe_load(cloud.sandbox.kubeconfig.read_text())
    elsewhere["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    broken = tmp_path / "kubeconfig"
    broken.write_text(yaml.safe_dump(elsewhere))
    unreachable = project.destroy("--skip-preview", env={"KUBECONFIG": str(broken)}).fails()
    assert "127.0.0.1:1" in unreachable.output
    assert cloud.groups("safe")[OLD]["DesiredCapacity"] == 2

    cloud.deployment("last", "safe", replicas=2)
    try:
        refused = project.destroy("--skip-preview").fails()
        assert f"{names.DRAIN_SKIP_VARIABLE}=prod/safe/{OLD}" in refused.output, "the refusal says how to go on"
        assert cloud.groups("safe")[OLD]["DesiredCapacity"] == 2
        assert cloud.schedulable("safe", OLD) == 2, "refused before anything was touched"
    finally:
        cloud.remove("last")
    project.destroy("--skip-preview", env={names.DRAIN_SKIP_VARIABLE: f"prod/safe/{OLD}"}).expect()
    assert not cloud.groups("safe")
