"""What a preflight finds about the pods of given nodes, and what it lets pass."""

import pytest

from pulumi_nodepools.drain.classify import DO_NOT_DISRUPT, SAFE_TO_EVICT
from pulumi_nodepools.drain.model import (
    BudgetView,
    ClaimView,
    ControllerView,
    DeploymentView,
    NodeView,
    Owner,
    PodView,
    Requirement,
    Toleration,
    VolumeView,
    WorldView,
)
from pulumi_nodepools.drain.preflight import check, refusing, standing, told
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import ConfigError

WALL = 1_000_000.0
OWNER = Owner("ReplicaSet", "apps/v1", "web-1", "rs")
WEB = ControllerView(kind="ReplicaSet", namespace="shop", name="web-1", uid="rs", desired=1, made_by="Deployment web")
OLD = NodeView(name="old", labels={"pool": "old"})
CORDON_TOLERATED = (Toleration(key="node.kubernetes.io/unschedulable", operator="Exists"),)


def pod(name="web-1-a", **fields):
    base = {"namespace": "shop", "name": name, "uid": name, "node": "old", "labels": {"app": "web"}, "owner": OWNER}
    return PodView(**base | fields)


def budget(name="web", **fields):
    base = {
        "match_labels": {"app": "web"},
        "min_available": "2",
        "needed": 2,
        "healthy": 3,
        "expected": 3,
        "allowed": 1,
    }
    return BudgetView(namespace="shop", name=name, uid=name, **base | fields)


def claimed(key):
    """A claim `data`, bound to a volume that can be used where a node's label `key` says `old`."""
    claim = ClaimView(namespace="shop", name="data", uid="c", volume="pv")
    return claim, VolumeView(name="pv", uid="v", affinity=((Requirement(key, "In", ("old",)),),))


def found(*views, nodes=(OLD,), others=(), **settings):
    def of(kind):
        return [view for view in views if isinstance(view, kind)]

    kinds = (PodView, BudgetView, ControllerView, ClaimView, VolumeView, DeploymentView)
    view = WorldView([*nodes, *of(NodeView)], *(of(kind) for kind in kinds))
    return check(view, lambda node: node.labels.get("pool") == "old", DrainSettings(**settings), WALL, others)


def facts(*views, **more):
    return [(one.severity, one.reason, one.object) for one in found(*views, **more)]


@pytest.mark.parametrize(
    ("views", "severity", "reason", "thing"),
    [
        ([pod(), budget(expected=2, allowed=0)], "never", "pdb-impossible", "budget shop/web"),
        (
            [pod(), budget(max_unavailable="0", min_available="", allowed=0)],
            "never",
            "pdb-impossible",
            "budget shop/web",
        ),
        ([pod(), budget(max_unavailable="0%", min_available="")], "never", "pdb-impossible", "budget shop/web"),
        ([pod(), budget(min_available="100%")], "never", "pdb-impossible", "budget shop/web"),
        ([pod(), budget(sync_failure="no scale", allowed=0)], "never", "pdb-sync-failed", "budget shop/web"),
        ([pod(), budget(), budget("two")], "never", "pdb-multiple", "workload shop/web-1"),
        ([pod(), budget(healthy=2, allowed=0)], "warning", "pdb-exhausted", "budget shop/web"),
        ([pod(), budget(match_labels={})], "warning", "pdb-selects-all", "budget shop/web"),
        ([pod(owner=None)], "never", "bare-pod", "pod shop/web-1-a"),
        ([pod(notes={SAFE_TO_EVICT: "false"})], "blocker", "opted-out", "pod shop/web-1-a"),
        ([pod(notes={DO_NOT_DISRUPT: "true"})], "blocker", "opted-out", "pod shop/web-1-a"),
        ([pod(empty_dirs=("tmp",))], "info", "local-data", "workload shop/web-1"),
        ([pod(host_paths=("/var/lib/x",))], "warning", "host-path", "workload shop/web-1"),
        ([pod(finalizers=("example.com/x",))], "warning", "finalizer", "workload shop/web-1"),
        ([pod(grace=3600)], "warning", "grace-over-timeout", "workload shop/web-1"),
        ([pod(tolerations=CORDON_TOLERATED)], "warning", "returns-to-node", "workload shop/web-1"),
        ([pod(deleted_at=WALL - 61)], "blocker", "terminating-grace", "pod shop/web-1-a"),
        ([pod(deleted_at=WALL - 61, finalizers=("x/y",))], "blocker", "stuck-finalizer", "pod shop/web-1-a"),
        ([pod(), WEB], "warning", "single-replica", "workload shop/web"),
        ([pod(ready=False), WEB], "warning", "workload-not-ready", "workload shop/web"),
        (
            [pod(node="", phase="Pending", ready=False, trouble="0/2 nodes are available")],
            "warning",
            "pending-pods",
            "pods elsewhere",
        ),
        ([pod(claims=("data",)), *claimed(key="kubernetes.io/hostname")], "never", "local-volume", "pod shop/web-1-a"),
        ([NodeView(name="new", ready=False)], "info", "node-not-ready", "nodes elsewhere"),
        ([pod(node="new", labels={"app.kubernetes.io/name": "kured"})], "info", "other-actor", "actor kured"),
        (
            [pod(node="new", labels={"app.kubernetes.io/name": "aws-cluster-autoscaler"})],
            "info",
            "other-actor",
            "actor cluster-autoscaler",
        ),
    ],
)
def test_each_thing_is_found_with_a_fix(views, severity, reason, thing):
    known = found(*views)
    (one,) = [one for one in known if one.reason == reason]
    assert (one.severity, one.object) == (severity, thing)
    assert one.fix
    assert one.message
    assert (one in standing(known), one in refusing(known)) == (severity in ("never", "blocker"), severity == "never")


@pytest.mark.parametrize(
    "views",
    [
        [pod(), budget()],
        [pod(node="elsewhere"), budget(expected=2, allowed=0)],  # a budget that guards none of these pods
        [pod(owner=Owner("DaemonSet", "apps/v1", "web", "ds"))],
        [pod(owner=None, phase="Succeeded")],
        [pod(finalizers=("batch.kubernetes.io/job-tracking",))],
        [pod(deleted_at=WALL - 59)],
        [pod(claims=("data",)), *claimed(key="topology.kubernetes.io/zone")],
        [pod(phase="Pending", ready=False), budget(expected=2, allowed=0)],  # the server lets it pass
        [pod(notes={DO_NOT_DISRUPT: "5m"}, started_at=WALL - 301)],
    ],
)
def test_what_holds_nothing_is_not_found(views):
    assert facts(*views) == []


def test_settings_decide_about_bare_pods_and_local_data():
    lost = pod(owner=None, empty_dirs=("tmp",))
    assert facts(lost, bare_pods="allow") == [
        ("warning", "bare-pod", "workload shop/web-1-a"),
        ("info", "local-data", "workload shop/web-1-a"),
    ]
    assert facts(pod(empty_dirs=("tmp",)), empty_dir="block") == [("never", "local-data", "pod shop/web-1-a")]


DEPLOYED = (
    ControllerView(
        kind="ReplicaSet", namespace="shop", name="web-1", uid="rs", desired=1, made_by="Deployment web", maker="d"
    ),
    DeploymentView(namespace="shop", name="web", uid="d", adds_first=True),
)


def test_a_single_replica_that_can_be_surged_is_told_how_and_then_no_longer_predicted():
    stiff = budget(expected=1, needed=1, healthy=1, allowed=0, min_available="1")
    (one,) = [one for one in found(pod(), *DEPLOYED) if one.reason == "single-replica"]
    assert one.fix.startswith("set `singleReplicas: surge`")
    assert ("never", "pdb-impossible", "budget shop/web") in facts(pod(), *DEPLOYED, stiff)
    assert facts(pod(), *DEPLOYED, stiff, single_replicas="surge") == [("info", "surge", "workload shop/web")]


def test_a_single_replica_that_no_surge_helps_is_predicted_with_the_reason():
    (one,) = [
        one
        for one in found(pod(claims=("data",)), *DEPLOYED, single_replicas="surge")
        if one.reason == "single-replica"
    ]
    assert one.message.endswith("no surge can help, because its claim data cannot be used on two nodes at once")


def test_pods_of_one_workload_are_one_finding_with_their_number():
    (one,) = found(pod("web-1-a", grace=7200), pod("web-1-b", grace=7200))
    assert (one.numbers["pods"], one.message.startswith("2 of its pods here may take 7200 s")) == (2, True)


def test_all_that_is_wrong_with_a_pod_is_said_at_once():
    stuck = pod(notes={SAFE_TO_EVICT: "false"})
    assert {one.reason for one in found(stuck, WEB, budget(expected=2))} == {
        "opted-out",
        "pdb-impossible",
        "single-replica",
    }


def test_unready_and_karpenters_nodes_are_named():
    sick = NodeView(
        name="old", labels={"pool": "old", "karpenter.sh/nodepool": "x"}, ready=False, ready_status="Unknown"
    )
    known = found(nodes=[sick])
    assert [(one.severity, one.reason, one.node) for one in known] == [
        ("warning", "node-not-ready", "old"),
        ("warning", "other-actor", ""),
    ]
    assert "Ready=Unknown" in known[0].message


def test_what_is_acknowledged_stops_nothing_and_is_still_told():
    views = [pod(), budget(expected=2, allowed=0), pod("bare", owner=None)]
    known = found(*views, acknowledge=("pdb-impossible/shop/*",))
    assert [one.object for one in refusing(known)] == ["pod shop/bare"]
    assert [one.object for one in known] == ["pod shop/bare", "budget shop/web"]
    assert "never, acknowledged: budget shop/web" in told(known)
    assert standing(found(*views, acknowledge=("pdb-impossible/shop/web", "bare-pod/shop/bare"))) == []
    assert len(standing(found(*views, acknowledge=("pdb-impossible/other/web", "pdb-multiple/shop/web")))) == 2


@pytest.mark.parametrize(
    "entry", ["", "pdb-impossible", "pdb-impossible/", "explode/shop/web", "opted-out/a/b/c", "*/*/*"]
)
def test_an_acknowledgement_that_can_never_match_is_refused(entry):
    with pytest.raises(ConfigError, match=r"drain\.acknowledge: .* is not <reason>/<namespace>/<name>"):
        DrainSettings(acknowledge=(entry,))


def test_settings_survive_the_state():
    settings = DrainSettings(acknowledge=("opted-out/jobs/*",))
    assert DrainSettings.from_props(settings.to_props()) == settings
    assert DrainSettings.from_props({}) == DrainSettings()


def test_long_lists_are_cut_with_their_number():
    lines = told(found(*(pod(f"bare-{n}", owner=None) for n in range(25))), 20).splitlines()
    assert (len(lines), lines[-1]) == (21, "  … and 5 more")
