"""What a replacement asks of the cluster is what docs/rbac grants: no less, or it would fail; and no more."""

import subprocess
import sys

import pytest

from tests.e2e.conftest import NEW, NEW_SPEC, Cloud, activate
from tests.rights_case import asked_of_cluster, environment, granted_by_rbac

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
FREE = {("authorization.k8s.io", "selfsubjectaccessreviews", "create")}
"""Everybody may ask whether he may."""

UNSEEN = {("", "services", "get"), ("storage.k8s.io", "csinodes", "list"), ("apps", "deployments", "watch")}
"""Asked only of the services behind admission webhooks, where pods with volumes move, and for surges; none are here."""


def test_a_replacement_and_the_operators_command_use_every_right_that_is_granted(cloud: Cloud, make_project) -> None:
    project = make_project("strict")
    project.env |= environment(cloud.sandbox, "up", user="strict")
    project.up("--skip-preview").expect()
    cloud.deployment("strict", "strict", replicas=2, budget={"maxUnavailable": 1})
    try:
        project.edit(activate("strict", NEW, NEW_SPEC))
        project.up("--skip-preview").expect()
        node = cloud.nodes("strict", NEW)[0]["metadata"]["name"]
        for words, codes in ((["status"], {0}), (["drain", node, "--dry-run"], {0, 2})):
            command = [sys.executable, "-m", "pulumi_nodepools.cli", *words]
            assert subprocess.run(command, env=project.env, capture_output=True, check=False).returncode in codes
    finally:
        cloud.remove("strict")
    project.destroy("--skip-preview", env={"NODEPOOLS_DRAIN_SKIP": f"prod/strict/{NEW}"}).expect()
    asked = asked_of_cluster(cloud.sandbox, "strict", library=True)
    assert asked - FREE | UNSEEN == granted_by_rbac("drain.yaml")
    assert asked_of_cluster(cloud.sandbox, "strict", library=False) == granted_by_rbac("up.yaml")
