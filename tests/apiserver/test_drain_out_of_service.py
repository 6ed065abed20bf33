"""Nodes whose machine has ended, told to the real controllers: they take its pods and volumes off at once."""

import pytest

from pulumi_nodepools.cluster import objects, out_of_service
from pulumi_nodepools.cluster.drainer import uncordon
from pulumi_nodepools.names import OUT_OF_SERVICE_TAINT, RELEASED_ANNOTATION
from tests.apiserver.drain_case import NODES, on
from tests.apiserver.test_drain_volumes import ATTACHMENTS, mounting, volume

pytestmark = pytest.mark.apiserver
DEAD = "sandbox.nodepools.dev/dead"
MANAGED = "volumes.kubernetes.io/controller-managed-attach-detach"


def annotate(cluster, node, **values):
    cluster.client.patch(f"{NODES}/{node}", {"metadata": {"annotations": values}})


def die(cluster, node):
    annotate(cluster, node, **{DEAD: "true"})
    cluster.wait(lambda: not cluster.is_ready(node), what="the node's end")


def taints(cluster, node):
    return {taint["key"]: taint for taint in cluster.request("GET", f"{NODES}/{node}")["spec"].get("taints") or []}


def attached(cluster, node):
    items = cluster.request("GET", ATTACHMENTS)["items"]
    return [item for item in items if item["spec"]["nodeName"] == node]


def mounted(cluster, pool):
    """A pod whose volume the attach-detach controller has attached and its kubelet says to have mounted."""
    space, name = cluster.namespace(), f"{pool}-data"
    (node,) = cluster.nodes(pool, 1)
    annotate(cluster, node, **{MANAGED: "true"})
    volume(cluster, space, name)
    cluster.stateful_set(space, "db", 1, **on(pool, f"{pool}-new"), **mounting(name))
    cluster.wait(lambda: attached(cluster, node), what="the attachment")
    (attachment,) = attached(cluster, node)
    path = f"{ATTACHMENTS}/{attachment['metadata']['name']}/status"
    cluster.client.patch(path, {"status": {"attached": True}})
    in_use = {"status": {"volumesInUse": [f"kubernetes.io/csi/ebs.csi.aws.com^vol-{name}"]}}
    cluster.client.patch(f"{NODES}/{node}/status", in_use)
    cluster.wait_ready(space, 1)
    cluster.wait(lambda: volumes_on(cluster, node), what="the attachment in the node's status")
    (new,) = cluster.nodes(f"{pool}-new", 1)
    annotate(cluster, new, **{MANAGED: "true"})
    return space, node, new


def volumes_on(cluster, node):
    return cluster.request("GET", f"{NODES}/{node}")["status"].get("volumesAttached")


def test_the_volume_of_a_stopped_machine_is_detached_at_once_and_its_pod_starts_elsewhere(cluster):
    space, node, new = mounted(cluster, "stop")
    die(cluster, node)
    report = cluster.drain("stop", instances=lambda _node: "stopped")
    assert {one.phase for one in report.nodes} == {"gone"}
    taint = taints(cluster, node)[OUT_OF_SERVICE_TAINT]
    assert (taint["value"], taint["effect"]) == ("nodeshutdown", "NoExecute")
    # Without the taint the controller waits six minutes for a kubelet that never answers.
    cluster.wait(lambda: not attached(cluster, node), seconds=90, what="the detachment")
    cluster.wait(lambda: cluster.ready(space), seconds=60, what="the pod elsewhere")
    assert cluster.ready(space)[0]["spec"]["nodeName"] == new
    annotate(cluster, node, **{DEAD: None})
    cluster.wait(lambda: cluster.is_ready(node), what="the node's return")
    assert cluster.drain("stop").outcome == "drained"
    assert OUT_OF_SERVICE_TAINT not in taints(cluster, node)
    assert RELEASED_ANNOTATION not in cluster.request("GET", f"{NODES}/{node}")["metadata"]["annotations"]


@pytest.mark.parametrize("state", ["running", "stopping"])
def test_a_machine_that_may_still_run_is_never_tainted(cluster, state):
    space = cluster.namespace()
    (node,) = cluster.nodes(state, 1)
    cluster.deployment(space, "app", 1, **on(state, f"{state}-new"))
    cluster.wait_ready(space, 1)
    cluster.nodes(f"{state}-new", 1)
    die(cluster, node)
    asked = []

    def instances(view):
        asked.append(view.name)
        return state

    assert cluster.drain(state, instances=instances).outcome == "drained"
    assert set(asked) == {node}
    assert OUT_OF_SERVICE_TAINT not in taints(cluster, node)


def test_a_kubelet_that_answers_again_is_believed_and_the_taints_of_others_stay(cluster):
    (node,) = cluster.nodes("back", 1)
    stale = view(cluster, node)
    die(cluster, node)
    dead = view(cluster, node)
    annotate(cluster, node, **{DEAD: None})
    cluster.wait(lambda: cluster.is_ready(node), what="the node's return")
    assert out_of_service.release(cluster.client, dead, "p/v").code == 200
    assert OUT_OF_SERVICE_TAINT not in taints(cluster, node), "its machine was seen as ended when it was not ready"
    theirs = {"key": OUT_OF_SERVICE_TAINT, "effect": "NoExecute", "value": "by-hand"}
    cluster.client.patch(f"{NODES}/{node}", {"spec": {"taints": [theirs]}})
    die(cluster, node)
    assert out_of_service.release(cluster.client, dead, "p/v").code == 200
    assert out_of_service.restore(cluster.client, stale).code == 200
    assert taints(cluster, node)[OUT_OF_SERVICE_TAINT]["value"] == "by-hand"


def test_uncordon_takes_it_back_and_leaves_a_foreign_cordon_alone(cluster):
    (node,) = cluster.nodes("undo", 1)
    cluster.client.patch(f"{NODES}/{node}", {"spec": {"unschedulable": True}})
    die(cluster, node)
    out_of_service.release(cluster.client, view(cluster, node), "p/v")
    assert OUT_OF_SERVICE_TAINT in taints(cluster, node)
    assert uncordon(cluster.client, lambda one: one.name == node, "p/other") == []
    assert uncordon(cluster.client, lambda one: one.name == node, "p/v") == [node]
    assert OUT_OF_SERVICE_TAINT not in taints(cluster, node)
    assert cluster.request("GET", f"{NODES}/{node}")["spec"]["unschedulable"] is True


def view(cluster, node):
    answer = cluster.client.request("GET", f"{NODES}/{node}")
    return objects.node_view(objects.msgspec.json.decode(answer.body, type=objects.RawNode))
