"""DrainerAccess: its rules cover every right that the survey asks for, and little more."""

import json

import pytest

from pulumi_nodepools import Access, DrainerAccess
from pulumi_nodepools.cluster.rights import CLUSTER_RULES, RIGHTS
from tests.components.conftest import make_cluster
from tests.components.engine import Recording, resolved, run


def build(**access) -> Recording:
    cluster = make_cluster(access=Access(**{"kind": "kubeconfig"} | access))
    return run(lambda: DrainerAccess("nodepools-drainer", cluster))


def _granted(recorded: Recording, kind: str) -> list[tuple[str, str, str]]:
    rules = recorded.of(f":{kind}")[0].inputs["rules"]
    return [
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


def test_what_is_asked_before_a_drain_is_granted() -> None:
    recorded = build()
    everywhere, inside = _granted(recorded, "ClusterRole"), _granted(recorded, "Role")
    for right in RIGHTS:
        resource = f"{right.resource}/{right.subresource}" if right.subresource else right.resource
        assert (right.group, resource, right.verb) in (inside if right.namespace else everywhere)


def test_nothing_may_be_deleted_or_read_beyond_the_drain() -> None:
    recorded = build()
    granted = [*_granted(recorded, "ClusterRole"), *_granted(recorded, "Role")]
    assert "delete" not in {verb for _, _, verb in granted}, "pods leave by eviction only"
    assert not {"secrets", "pods/exec", "*"} & {resource for _, resource, _ in granted}


@pytest.mark.parametrize(
    ("setting", "right"),
    [({}, []), ({"force": True}, [("pods", "delete")]), ({"surge": True}, [("deployments", "patch")])],
)
def test_what_only_a_setting_needs_is_granted_only_where_a_pool_has_it(setting, right) -> None:
    cluster = make_cluster(access=Access(kind="kubeconfig"))
    recorded = run(lambda: DrainerAccess("nodepools-drainer", cluster, **setting))
    rules = recorded.of(":ClusterRole")[0].inputs["rules"]
    assert [(one["resources"], one["verbs"]) for one in rules[len(CLUSTER_RULES) :]] == [
        ([resource], [verb]) for resource, verb in right
    ]


def test_the_objects_and_the_names_that_others_bind() -> None:
    recorded = build()
    objects = {
        (one.type.rsplit(":", 1)[1], one.inputs["metadata"]["name"])
        for one in recorded.of("")
        if one.type.startswith("kubernetes:")
    }
    kinds = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    assert objects >= {(kind, "nodepools-drainer") for kind in kinds}
    binding = recorded.of(":ClusterRoleBinding")[0].inputs
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "nodepools-drainer", "namespace": "kube-system"}]
    assert recorded.of(":RoleBinding")[0].inputs["metadata"]["namespace"] == "kube-system"


def test_the_default_cluster_needs_no_provider_of_its_own() -> None:
    assert not [one for one in build().registered if one.type.startswith("pulumi:providers")]


def test_a_named_context_is_used_for_these_objects_as_well() -> None:
    (provider,) = [one for one in build(context="prod").registered if one.type.startswith("pulumi:providers")]
    assert provider.inputs["context"] == "prod"


def test_an_eks_kubeconfig_holds_a_command_and_no_secret() -> None:
    texts: list[str] = []

    def program() -> None:
        access = Access(kind="eks", cluster_name="prod", region="us-west-2", role_arn="arn:aws:iam::1:role/ops")
        from pulumi_nodepools.drainer_access import _eks_kubeconfig

        resolved(_eks_kubeconfig(make_cluster(access=access), access), texts)

    run(program)
    (document,) = map(json.loads, texts)
    (user,) = document["users"]
    assert user["user"]["exec"]["args"][-4:] == ["--region", "us-west-2", "--role-arn", "arn:aws:iam::1:role/ops"]
    assert set(user["user"]) == {"exec"}
