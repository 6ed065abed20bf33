"""kubectl's own table of drains, row by row, in two drains of the same node: one allows little, one allows all.

Of a row that kubectl calls fatal ours refuses the whole drain before any node is touched.
"""

import pytest

from pulumi_nodepools.errors import AccessDeniedError, DrainBlockedError
from tests.apiserver import replay_case as make
from tests.apiserver.drain_case import NODES, on
from tests.apiserver.replay_case import EMPTY_DIR, Replay
from tests.conformance import replays, row

pytestmark = pytest.mark.apiserver
OLD, NEW = "kubectl-old", "kubectl-new"


@pytest.fixture(scope="module")
def table(cluster):
    """Every kind of pod of the table on one node; each app is named after its row."""
    space = cluster.namespace()
    cluster.nodes(OLD, 1)
    node = f"{OLD}-0"
    make.replication_controller(cluster, space, "rc", **on(OLD, NEW))
    cluster.deployment(space, "rs", 1, **on(OLD, NEW))
    cluster.deployment(space, "local", 1, **EMPTY_DIR, **on(OLD, NEW))
    cluster.deployment(space, "slow", 1, annotations=make.SLOW, terminationGracePeriodSeconds=9, **on(OLD, NEW))
    make.daemon_set(cluster, space, "ds", **on(OLD))
    make.daemon_set(cluster, space, "ds-local", **EMPTY_DIR, **on(OLD))
    make.job(cluster, space, "job-local", make.FOR_EVER, **EMPTY_DIR, **on(OLD, NEW))
    make.job(cluster, space, "job-done", make.BRIEFLY, **EMPTY_DIR, **on(OLD))
    retired = make.retired_daemon_set(cluster, space, "ds-done")
    make.bare(cluster, space, "ds-done", node, owner=retired)
    make.bare(cluster, space, "naked", node)
    make.bare(cluster, space, "unmanaged", node, labels={"was": "of-a-daemonset"})
    make.bare(cluster, space, "failed-local", node, restartPolicy="Never", **EMPTY_DIR)
    make.bare(cluster, space, "mirror", node, annotations={"kubernetes.io/config.mirror": "x"})
    cluster.wait_ready(space, 12)
    cluster.wait(lambda: any(pod["status"]["phase"] == "Succeeded" for pod in cluster.pods(space)), what="the job")
    make.finish(cluster, space, "ds-done", "Succeeded")
    make.finish(cluster, space, "failed-local", "Failed")
    cluster.nodes(NEW, 1)
    return space


@pytest.fixture(scope="module")
def refused(cluster, table):
    """No consent to anything."""
    replay = Replay(cluster, [table])
    with pytest.raises(DrainBlockedError) as caught:
        cluster.drain(OLD, empty_dir="block")
    return replay.ended(caught.value.report, str(caught.value))


@pytest.fixture(scope="module")
def drained(cluster, refused, table):
    """Consent to bare pods and to local data."""
    replay = Replay(cluster, [table])
    return replay.ended(cluster.drain(OLD, bare_pods="allow", empty_dir="allow"))


@pytest.mark.parametrize(
    ("app", "reasons"),
    [
        row("kubectl: DS-managed pod", "left alone without a flag: it would come back", "ds", ["daemonset"]),
        row("kubectl: naked pod", "refused, with the fix", "naked", ["bare-pod"]),
        row("kubectl: orphaned DS-managed pod", "has no owner, so a bare pod: refused", "unmanaged", ["bare-pod"]),
        row("kubectl: pod with EmptyDir and --force", "refused: consents are apart", "local", ["local-data"]),
        row("kubectl: RC-managed pod without flags", "no objection", "rc", []),
        row("kubectl: finished Job pod with EmptyDir, no flags", "no objection: nothing is lost", "job-done", []),
        row("kubectl: Failed pod with EmptyDir, no flags", "no objection: nothing is lost", "failed-local", []),
    ],
)
def test_what_is_refused_is_named_and_nothing_is_touched(cluster, refused, app, reasons):
    assert refused.reasons(app) == reasons
    assert refused.left(app)
    assert not cluster.requests.evictions or refused.outcome(app) <= {"left"}


@replays("kubectl: fatal rows", "nothing at all is done when one pod can never leave: no cordon, no eviction")
def test_a_refusal_touches_no_node(cluster, refused):
    assert refused.attempts("rc") == 0
    assert [node.phase for node in refused.report.nodes] == ["waiting"]
    assert "no node was touched" in refused.error


@pytest.mark.parametrize(
    ("app", "outcome"),
    [
        row("kubectl: RC-managed pod", "evicted", "rc", "evicted"),
        row("kubectl: RS-managed pod", "evicted", "rs", "evicted"),
        row("kubectl: DS-managed pod with --ignore-daemonsets", "left alone", "ds", None),
        row("kubectl: DS-managed pod with EmptyDir", "left alone", "ds-local", None),
        row("kubectl: DS-managed pod, Succeeded", "evicted: nothing restarts it", "ds-done", "evicted"),
        row("kubectl: orphaned DS-managed pod with --force", "evicted", "unmanaged", "evicted"),
        row("kubectl: Job pod with EmptyDir, --force, --delete-emptydir-data", "evicted", "job-local", "evicted"),
        row("kubectl: finished Job pod with EmptyDir", "evicted", "job-done", "evicted"),
        row("kubectl: naked pod with --force", "evicted", "naked", "evicted"),
        row("kubectl: pod with EmptyDir and --delete-emptydir-data", "evicted", "local", "evicted"),
        row("kubectl: Failed pod with EmptyDir", "evicted", "failed-local", "evicted"),
        row("kubectl: mirror pod", "left alone", "mirror", None),
    ],
)
def test_what_is_consented_to_leaves(drained, app, outcome):
    if outcome is None:
        assert drained.left(app)
        assert drained.attempts(app) == 0
    else:
        assert drained.outcome(app) == {outcome}
        assert drained.attempts(app) == 1
        assert not drained.left(app)


@replays(
    "kubectl: waitForDelete completes", "an accepted eviction is not the end: the node is done when the pod is gone"
)
def test_a_node_is_not_done_before_its_slowest_pod_is_gone(drained):
    (node,) = drained.report.nodes
    assert node.phase == "done"
    assert node.evict[1] - node.evict[0] >= 4, "the slow pod takes four seconds"


@replays("kubectl: node is patched unschedulable", "tainted softly, then cordoned, before the first eviction")
def test_the_node_is_unschedulable_afterwards(cluster, drained):
    assert cluster.request("GET", f"{NODES}/{OLD}-0")["spec"]["unschedulable"] is True
    (node,) = drained.report.nodes
    assert node.cordon[1] <= node.evict[0]


@replays("kubectl: empty node", "done without an eviction")
def test_an_empty_node_is_done_at_once(cluster):
    cluster.nodes("kubectl-empty", 1)
    before = cluster.requests.evictions
    report = cluster.drain("kubectl-empty")
    assert (report.outcome, report.pods) == ("drained", [])
    assert cluster.requests.violations() == []
    assert cluster.requests.evictions == before


@replays("kubectl: API failure during evict", "missing rights end the drain at once, with the right and the pods named")
def test_rights_that_are_missing_end_the_drain(cluster, tmp_path):
    from pulumi_nodepools.cluster.access import Access
    from pulumi_nodepools.cluster.client import Client

    space = cluster.namespace()
    cluster.nodes("kubectl-rights", 1)
    cluster.deployment(space, "app", 2, **on("kubectl-rights"))
    cluster.wait_ready(space, 2)
    rules = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["patch"]},
    ]
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    cluster.request("POST", f"{rbac}/clusterroles", {"metadata": {"name": "no-evictions"}, "rules": rules})
    role = {"kind": "ClusterRole", "name": "no-evictions", "apiGroup": "rbac.authorization.k8s.io"}
    subject = {"kind": "User", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"metadata": {"name": "no-evictions"}, "roleRef": role, "subjects": [subject]}
    cluster.request("POST", f"{rbac}/clusterrolebindings", binding)
    path = cluster.plane.mint_kubeconfig(tmp_path / "reader", "reader")
    client = Client.connect(Access("kubeconfig", path=str(path)))
    with pytest.raises(AccessDeniedError, match=r"cannot create resource \"pods/eviction\"") as caught:
        cluster.drain("kubectl-rights", client=client)
    assert {pod.outcome for pod in caught.value.report.pods} == {"left"}
    assert len(cluster.ready(space)) == 2


@pytest.fixture(scope="module")
def timed_out(cluster):
    """A pod that a finalizer holds, in a namespace that is being deleted; and one that only takes its time."""
    spaces = [cluster.namespace(), cluster.namespace()]
    (node,) = cluster.nodes("kubectl-late", 1)
    for space in spaces:
        make.bare(cluster, space, "held", node, finalizers=["tests.nodepools.dev/hold"])
    make.bare(cluster, spaces[1], "slow", node, annotations=make.SLOW, terminationGracePeriodSeconds=9)
    cluster.wait_ready(spaces[0], 1)
    cluster.wait_ready(spaces[1], 2)
    cluster.request("DELETE", f"/api/v1/namespaces/{spaces[1]}")
    cluster.wait(lambda: all("deletionTimestamp" in pod["metadata"] for pod in cluster.pods(spaces[1])))
    replay = Replay(cluster, spaces)
    with pytest.raises(DrainBlockedError) as caught:
        cluster.drain("kubectl-late", node_timeout=9, bare_pods="allow")
    yield replay.ended(caught.value.report, str(caught.value)), spaces
    for space in spaces:
        make.release(cluster, space, "held")


@replays("kubectl: waitForDelete timeout returns the pending pods", "the report has each with its reason and numbers")
def test_a_timeout_names_what_is_left(timed_out):
    replay, spaces = timed_out
    assert f"{spaces[0]}/held" in replay.error
    assert set(replay.reasons("held")) == {"stuck-finalizer"}


@replays("kubectl: deletionTimestamp older than --skip-wait-for-delete-timeout", "not skipped: reported as stuck")
def test_a_pod_that_does_not_end_is_not_skipped(timed_out):
    replay, _ = timed_out
    assert [node.phase for node in replay.report.nodes] == ["active"]
    assert [node.pods_left for node in replay.report.nodes] == [2]


@replays("kubectl: NamespaceTerminating, pod becomes deleted", "counts as gone; it is never asked to be evicted")
def test_pods_of_a_terminating_namespace_that_end_are_gone(timed_out):
    replay, _ = timed_out
    assert not replay.left("slow")
    assert replay.attempts("slow") == 0


@replays("kubectl: NamespaceTerminating, never deleted", "ends at the node's timeout with what holds the pod")
def test_pods_of_a_terminating_namespace_that_stay_are_named(timed_out):
    replay, spaces = timed_out
    assert f"{spaces[1]}/held" in replay.error
    assert "tests.nodepools.dev/hold" in replay.error
