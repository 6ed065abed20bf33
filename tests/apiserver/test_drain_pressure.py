"""Servers under pressure, silent nodes and the milder force, against the real API server."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pulumi_nodepools.cluster import drainer, eviction
from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.drain import machine
from pulumi_nodepools.drain.answers import meaning
from pulumi_nodepools.drain.events import Evict
from pulumi_nodepools.drain.settings import ForceRule
from pulumi_nodepools.drain.state import State
from pulumi_nodepools.errors import DrainBlockedError
from tests.apiserver import replay_case as make
from tests.apiserver.drain_case import NODES, Audit, on
from tests.conformance import replays

pytestmark = pytest.mark.apiserver
FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"


def one_eviction_at_a_time(cluster, name):
    """Priority and fairness without a seat for evictions: whatever comes while one is served is answered 429."""
    limited = {"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
    level = {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}}
    cluster.request("POST", f"{FLOW}/prioritylevelconfigurations", level)
    subjects = [{"kind": "Group", "group": {"name": "system:authenticated"}}]
    rule = {"verbs": ["create"], "apiGroups": [""], "resources": ["pods/eviction"], "namespaces": ["*"]}
    spec = {
        "matchingPrecedence": 2,
        "priorityLevelConfiguration": {"name": name},
        "rules": [{"subjects": subjects, "resourceRules": [rule]}],
    }
    cluster.request("POST", f"{FLOW}/flowschemas", {"metadata": {"name": name}, "spec": spec})


def test_a_server_that_protects_itself_slows_the_whole_drain_and_no_pod_is_lost(cluster, tmp_path):
    space = cluster.namespace()
    cluster.nodes("fair", 1)
    cluster.deployment(space, "app", 16, **on("fair", "fair-new"))
    cluster.wait_ready(space, 16)
    cluster.nodes("fair-new", 1)
    client = Client.connect(Access("kubeconfig", path=str(administrator(cluster, tmp_path))))
    one_eviction_at_a_time(cluster, "one-eviction")
    nobody = Evict(space, "nobody", "00000000-0000-0000-0000-000000000000", "fair-0")

    def throttled():
        with ThreadPoolExecutor(8) as threads:
            answers = threads.map(lambda _: meaning(eviction.evict(client, nobody)), range(24))
            return "throttled" in set(answers)

    cluster.wait(throttled, what="priority and fairness")
    report = cluster.drain("fair", unbudgeted="all", client=client)
    assert report.outcome == "drained"
    answers = report.api_calls["evict"]
    assert answers["201"] == 16
    # The first wave, then about one for each that goes; nearly twice as many as allowed if the window did not halve.
    assert 1 <= answers["429"] <= 40, "a window of 32 that halves with each refusal"


def administrator(cluster, folder):
    """Credentials that priority and fairness does not exempt."""
    path = cluster.plane.mint_kubeconfig(folder / "admin", "someone")
    role = {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"}
    subject = {"kind": "User", "name": "someone", "apiGroup": "rbac.authorization.k8s.io"}
    body = {"metadata": {"name": "someone"}, "roleRef": role, "subjects": [subject]}
    cluster.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", body)
    return path


def test_a_deadline_is_kept_although_the_server_hangs(cluster):
    space = cluster.namespace()
    cluster.nodes("hang", 1)
    cluster.deployment(space, "app", 4, **on("hang"))
    cluster.wait_ready(space, 4)
    server = cluster.plane._processes.pid("kube-apiserver")
    stopped = []

    def guard(_world):
        stopped.append(1)
        if len(stopped) == 2:  # just before the first eviction
            os.kill(server, signal.SIGSTOP)

    began = time.monotonic()
    try:
        with pytest.raises(DrainBlockedError, match="timeout of 7 s per node ran out") as caught:
            cluster.drain("hang", node_timeout=7, guard=guard)
        seconds = time.monotonic() - began
    finally:
        os.kill(server, signal.SIGCONT)
    started = caught.value.report.nodes[0].evict[0]
    assert 7 <= seconds - started <= 9, "the deadline, and the end of the threads"
    assert {pod.outcome for pod in caught.value.report.pods} == {"left"}


@replays("karpenter: node without an instance", "EC2 is asked as soon as the kubelet is silent; the others go on")
def test_a_silent_node_is_given_up_when_its_instance_is_gone(cluster):
    space = cluster.namespace()
    names = cluster.nodes("silent", 2)
    cluster.deployment(space, "app", 4, **on("silent", "silent-new"))
    cluster.wait_ready(space, 4)
    held = f"{names[0]}"
    make.bare(cluster, space, "held", held, finalizers=["tests.nodepools.dev/hold"])
    cluster.wait_ready(space, 5)
    cluster.nodes("silent-new", 1)
    asked, dead = [], threading.Event()

    def instances(node):
        asked.append(node.name)
        return "terminated"

    def listen(progress):
        if any(entry.reason == "stuck-finalizer" for entry in progress.blocked) and not dead.is_set():
            dead.set()
            path = f"{NODES}/{held}"
            cluster.request("PATCH", path, {"metadata": {"annotations": {"sandbox.nodepools.dev/dead": "true"}}})

    report = cluster.drain("silent", bare_pods="allow", listen=listen, instances=instances)
    make.release(cluster, space, "held")
    assert {node.name: node.phase for node in report.nodes} == {held: "gone", names[1]: "done"}
    assert set(asked) == {held}


def test_by_the_milder_force_siblings_go_one_after_the_other(cluster):
    space = cluster.namespace()
    cluster.nodes("mild", 1)
    cluster.deployment(space, "app", 2, **on("mild", "mild-new"))
    cluster.wait_ready(space, 2)
    cluster.budget(space, "app", minAvailable=2)
    cluster.wait(lambda: cluster.allowed(space, "app") == 0)
    cluster.nodes("mild-new", 1)
    with Audit(cluster, space) as audit:
        report = cluster.drain("mild", node_timeout=3, on_timeout="force", force=ForceRule(siblings_ready=2))
    assert report.outcome == "drained"
    assert len(report.to_json()["forced"]) == 2
    assert audit.least_ready() == 1, "never both"


def test_a_recorded_drain_replays_to_the_same_actions(cluster, monkeypatch):
    heard, said = [], []

    def recording(state, event, now):
        actions = machine.step(state, event, now)
        heard.append((state, event, now))
        said.append(list(actions))
        return actions

    monkeypatch.setattr(drainer, "step", recording)
    space = cluster.namespace()
    cluster.nodes("tape", 2)
    for app in ("guarded", "paced"):
        cluster.deployment(space, app, 4, **on("tape", "tape-new"))
    cluster.wait_ready(space, 8)
    cluster.budget(space, "guarded", maxUnavailable=1)
    cluster.wait(lambda: cluster.allowed(space, "guarded") == 1)
    cluster.nodes("tape-new", 1)
    report = cluster.drain("tape", batch_size="1")
    assert report.outcome == "drained"
    seen = heard[0][0]
    again = State(seen.settings, seen.nodes.owner, lambda node: node.labels.get("pool") == "tape", now=0.0, wall=0.0)
    again.started, again.wall_offset = seen.started, seen.wall_offset
    again.phases, again.timers = [("sync", seen.started)], [seen.started + seen.settings.total_timeout]
    assert [machine.step(again, event, now) for _, event, now in heard] == said
    evicted = [action.uid for actions in said for action in actions if isinstance(action, Evict)]
    assert len(set(evicted)) >= 8
