"""What a preview is told about account and cluster, and what stops it."""

from dataclasses import replace

import pytest

from pulumi_nodepools import survey as survey_module
from pulumi_nodepools.aws.rights import Answer
from pulumi_nodepools.bootstrap import EksJoin, KubeadmJoin
from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.record import Frozen, PoolRecord
from pulumi_nodepools.drain.preflight import Successor
from pulumi_nodepools.errors import AccessDeniedError, ConfigError, JoinTokenError
from pulumi_nodepools.join_token import Finding
from tests.unit.aws.conftest import make_group, session  # noqa: F401 - fixtures
from tests.unit.memory_cluster import MemoryCluster


@pytest.fixture
def cluster(monkeypatch):
    made = MemoryCluster()
    monkeypatch.setattr(survey_module.Client, "connect", lambda _access: made)
    # What these ask of AWS is tests/unit/aws's, and each of their clients takes a second to load.
    monkeypatch.setattr(survey_module.aws_rights, "ask", lambda *_args, **_options: Answer("somebody"))
    monkeypatch.setattr(survey_module.quotas, "shortage", lambda *_args: "")
    return made


def _nearly_full(_session, ids):
    return dict.fromkeys(ids, "us-west-2a"), dict.fromkeys(ids, 1)


def _survey(subnets, **changes):
    wanted = {
        "cluster": "prod",
        "pool": "worker",
        "active": "v2",
        "region": "us-west-2",
        "subnet_ids": {"v2": subnets, "v1": subnets},
    }
    return survey_module.survey(survey_module.SurveyArgs(access=Access(kind="kubeconfig"), **{**wanted, **changes}))


def test_a_new_pool_has_no_size_yet(cluster, make_group):  # noqa: F811
    subnets = make_group("something-else")
    found = _survey(subnets)
    assert (found.account, found.cluster_uid) == ("123456789012", "uid-of-kube-system")
    assert (found.serving, found.live_size, found.live_zones) == (None, None, {})
    assert found.subnet_zones == dict(zip(subnets, ("us-west-2a", "us-west-2b"), strict=True))


def test_the_size_is_the_serving_versions_desired_capacity_now(cluster, make_group):  # noqa: F811
    subnets = make_group("prod-worker-v1", desired=3)
    PoolRecord(cluster, "worker").update(lambda now: replace(now, serving="v1"))
    found = _survey(subnets)
    assert (found.serving, found.live_size) == ("v1", 3)
    assert found.live_zones == {"us-west-2a": 3}


def test_one_group_per_zone_is_summed(cluster, make_group):  # noqa: F811
    subnets = make_group("prod-worker-v1-us-west-2a", desired=2)
    PoolRecord(cluster, "worker").update(lambda now: replace(now, serving="v1"))
    assert _survey(subnets).live_size == 2


def test_missing_rights_are_all_named(cluster, make_group):  # noqa: F811
    subnets = make_group()
    cluster.denied = frozenset({"create pods/eviction", "watch nodes", "update leases"})
    with pytest.raises(AccessDeniedError) as caught:
        _survey(subnets)
    for right in ("create pods/eviction", "watch nodes", "update leases.coordination.k8s.io in kube-system"):
        assert right in str(caught.value)
    assert "lack 3 of" in str(caught.value)
    (warning,) = _survey(subnets, only_looks=True).warnings
    assert warning.startswith("pool worker: the cluster credentials lack 3 of")


def test_missing_aws_rights_and_a_quota_that_is_too_small_are_told_before_anything_changes(
    cluster,
    make_group,  # noqa: F811
    monkeypatch,
):
    subnets = make_group("prod-worker-v1", desired=3)
    PoolRecord(cluster, "worker").update(lambda now: replace(now, serving="v1"))
    answer = Answer("role/x", ("elasticloadbalancing:DeregisterTargets on arn",), "cannot be checked")
    asked = []
    monkeypatch.setattr(
        survey_module.aws_rights, "ask", lambda _s, groups, *, balancers: asked.append((groups, balancers)) or answer
    )
    monkeypatch.setattr(survey_module.quotas, "shortage", lambda _s, added: f"too many: {dict(added)}" if added else "")
    with pytest.raises(AccessDeniedError, match=r"role/x lacks 1 AWS rights .*DeregisterTargets on arn"):
        _survey(subnets)
    found = _survey(subnets, only_looks=True, instance_types={"v2": "m5.large"})
    assert [one.partition(": ")[2].partition(" ")[0] for one in found.warnings] == ["role/x", "too"]
    assert found.warnings[1] == "pool worker: too many: {'m5.large': 3}"
    assert found.notes == ("pool worker: cannot be checked",)
    ((group,), balancers) = asked[0]
    assert group.endswith("autoScalingGroupName/prod-worker-v1")
    assert balancers
    asked.clear()
    assert not _survey(subnets, active="v1").warnings, "nothing leaves and nothing is added"
    assert asked == []


def test_too_few_addresses_for_the_new_nodes(cluster, make_group, monkeypatch):  # noqa: F811
    subnets = make_group("prod-worker-v1", desired=3)
    PoolRecord(cluster, "worker").update(lambda now: replace(now, serving="v1"))
    monkeypatch.setattr(
        survey_module.subnets, "describe", lambda _s, ids: (dict.fromkeys(ids, "a"), dict.fromkeys(ids, 1))
    )
    with pytest.raises(ConfigError, match=r"2 free addresses .* adds 3 nodes"):
        _survey(subnets)
    # Its own group exists already: nothing is added.
    assert _survey(subnets, active="v1").live_size == 3


def test_the_initial_size_counts_while_nothing_serves(cluster, make_group, monkeypatch):  # noqa: F811
    subnets = make_group("something-else")
    monkeypatch.setattr(
        survey_module.subnets, "describe", lambda _s, ids: (dict.fromkeys(ids, "a"), dict.fromkeys(ids, 1))
    )
    with pytest.raises(ConfigError, match="adds 14 nodes"):
        _survey(subnets, initial=14)


def _ended(*_):
    return Finding("the join token abcdef has ended", stops=True)


def test_an_ended_join_token_stops_what_would_add_nodes_and_warns_otherwise(cluster, make_group, monkeypatch):  # noqa: F811
    subnets = make_group("prod-worker-v1", desired=3)
    PoolRecord(cluster, "worker").update(lambda now: replace(now, serving="v1"))
    monkeypatch.setattr(survey_module.join_token, "check", _ended)
    with pytest.raises(JoinTokenError, match=r"pool worker: the join token abcdef has ended\. Nothing was changed"):
        _survey(subnets, join=KubeadmJoin("/prod/token"))
    assert _survey(subnets, join=KubeadmJoin("/prod/token"), active="v1").warnings == (
        "pool worker: the join token abcdef has ended",
    )
    assert _survey(subnets, join=EksJoin()).warnings == ()


def test_an_adopted_group_is_looked_up_by_its_name(cluster, make_group):  # noqa: F811
    subnets = make_group("legacy-workers", desired=3)
    found = _survey(subnets, active="adopted", adopted={"adopted": "legacy-workers"}, initial=14)
    assert [view.name for view in found.existing["adopted"]] == ["legacy-workers"]
    with pytest.raises(
        ConfigError, match=r"pools\.worker\.adopt\.autoScalingGroup: there is no Auto Scaling group nobody"
    ):
        _survey(subnets, active="adopted", adopted={"adopted": "nobody"})


@pytest.mark.parametrize("left", [{"serving": "adopted", "serving_groups": ("legacy-workers",)}, {"pending": "v2"}])
def test_an_adopted_version_may_not_vanish_from_the_list_before_it_is_drained(cluster, make_group, left):  # noqa: F811
    subnets = make_group("legacy-workers")
    frozen = {"legacy-workers": Frozen("arn", "adopted", 1, 5, 2, ("Launch",))}
    PoolRecord(cluster, "worker").update(lambda now: replace(now, frozen=frozen, **left))
    with pytest.raises(ConfigError, match="adopted, the adopted group legacy-workers, is no longer listed"):
        _survey(subnets)
    _survey(subnets, adopted={"adopted": "legacy-workers"})
    PoolRecord(cluster, "worker").update(lambda now: replace(now, serving="v1", serving_groups=(), pending=""))
    _survey(subnets)  # drained: it may go


def test_pods_that_planned_nodes_would_not_admit_are_found_until_those_nodes_are_there(cluster, make_group):  # noqa: F811
    subnets = make_group("prod-worker-v1")
    cluster.add_node("old", "i-1", pool="worker", version="v1")
    owner = {"kind": "ReplicaSet", "apiVersion": "apps/v1", "name": "web", "uid": "rs", "controller": True}
    metadata = {"name": "web-1", "namespace": "shop", "uid": "u", "ownerReferences": [owner]}
    pod = {"metadata": metadata, "spec": {"nodeName": "old", "nodeSelector": {"disk": "ssd"}}}
    cluster.create("/api/v1/pods", pod)
    planned = Successor("v2", {"nodepools.dev/pool": "worker"})

    def told(**more):
        return [one.message for one in _survey(subnets, planned=planned, **more).findings if one.reason == "no-place"]

    (message,) = told()
    assert message.startswith("its pods would find no place on nodes of v2")
    assert "asks for disk=ssd" in message
    make_group("prod-worker-v2")
    assert told() == []
