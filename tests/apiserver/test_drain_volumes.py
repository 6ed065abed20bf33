"""Volumes of moved pods against the real API server; attached by the test, or by the sandbox's controller."""

import pytest

from pulumi_nodepools.cluster import attach_limits
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import CapacityError, DrainBlockedError
from pulumi_nodepools.hooks import guards
from sandbox.controllers.attachments import VOLUMES as SIMULATED
from sandbox.controllers.attachments import AttachmentController
from tests.apiserver.drain_case import NODES, on

pytestmark = pytest.mark.apiserver
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
VOLUMES = "/api/v1/persistentvolumes"


def volume(cluster, space, name, **spec):
    """A bound claim `name`, and its volume of the same name."""
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    body = {
        "metadata": {"name": name},
        "spec": {
            **common,
            "capacity": {"storage": "1Gi"},
            "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": f"vol-{name}"},
            "claimRef": {"namespace": space, "name": name},
            **spec,
        },
    }
    cluster.request("POST", VOLUMES, body)
    claim = {**common, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}}
    path = f"/api/v1/namespaces/{space}/persistentvolumeclaims"
    cluster.request("POST", path, {"metadata": {"name": name}, "spec": claim})
    cluster.wait(lambda: cluster.request("GET", f"{path}/{name}")["status"]["phase"] == "Bound", what="the claim")


def in_zone(zone):
    """The spec of a volume that only nodes of a zone can use."""
    needs = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}
    return {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [needs]}]}}}


def attach(cluster, name, node):
    spec = {"attacher": "ebs.csi.aws.com", "nodeName": node, "source": {"persistentVolumeName": name}}
    cluster.request("POST", ATTACHMENTS, {"metadata": {"name": f"csi-{name}"}, "spec": spec})


def detach(cluster, name):
    cluster.request("DELETE", f"{ATTACHMENTS}/csi-{name}")


def mounting(*claims):
    return {"volumes": [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]}


def stateful(cluster, pool):
    """A pod with an attached volume on the one node of a pool; room for it elsewhere."""
    space = cluster.namespace()
    name = f"{pool}-data"
    (node,) = cluster.nodes(pool, 1)
    volume(cluster, space, name)
    cluster.stateful_set(space, "db", 1, **on(pool, f"{pool}-new"), **mounting(name))
    cluster.wait_ready(space, 1)
    attach(cluster, name, node)
    cluster.nodes(f"{pool}-new", 1)
    return space, name, node


def test_the_drain_ends_when_the_volume_is_detached_and_says_how_long_that_took(cluster):
    space, name, node = stateful(cluster, "detach")
    waited = []

    def listen(progress):
        stuck = [entry for entry in progress.blocked if entry.reason == "stuck-volume"]
        if stuck and not waited:
            waited.extend(stuck)
            assert cluster.pods(space)[0]["spec"]["nodeName"] == "detach-new-0", "its pod has long left"
            detach(cluster, name)

    report = cluster.drain("detach", listen=listen)
    assert report.outcome == "drained"
    assert [(entry.object, entry.node) for entry in waited] == [(f"volume {name}", node)]
    times = report.to_json()["nodes"][node]
    assert times["detach"]["start"] == times["evict"]["end"]
    assert times["detach"]["end"] > times["detach"]["start"]


def test_a_volume_that_stays_ends_the_drain_and_the_next_run_waits_for_it_again(cluster):
    _, name, node = stateful(cluster, "stay")
    for _ in range(2):
        with pytest.raises(DrainBlockedError, match=f"volumes are still attached to {node}") as caught:
            cluster.drain("stay", detach_timeout=2)
        assert f"volume {name} on {node}: stuck-volume" in str(caught.value)
    detach(cluster, name)
    assert cluster.drain("stay", detach_timeout=2).outcome == "drained"


def test_volumes_of_pods_that_stay_and_of_no_one_are_not_waited_for(cluster):
    space, name, node = stateful(cluster, "keep")
    detach(cluster, name)
    volume(cluster, space, "keep-log")
    asked = {"nodepools.dev/drain": "skip"}
    cluster.deployment(space, "log", 1, annotations=asked, **on("keep"), **mounting("keep-log"))
    cluster.wait_ready(space, 2)
    attach(cluster, "keep-log", node)
    attach(cluster, "keep-ghost", node)
    report = cluster.drain("keep", detach_timeout=2)
    assert report.outcome == "drained"
    assert report.to_json()["nodes"][node]["detach"] == {"start": None, "end": None}


def test_a_zone_without_room_is_refused_before_the_first_cordon_and_named(cluster):
    space = cluster.namespace()
    (node,) = cluster.nodes("zone", 1, zones=("b",))
    volume(cluster, space, "zone-data", **in_zone("b"))
    cluster.stateful_set(space, "db", 1, **on("zone", "zone-new"), **mounting("zone-data"))
    cluster.wait_ready(space, 1)
    cluster.nodes("zone-new", 2, zones=("a", "c"))

    def guard(world):
        guards.require_room(world, lambda view: view.labels.get("pool") == "zone", DrainSettings())

    with pytest.raises(CapacityError, match=f"{space}/db-0 .volume zone-data is in b, where none of the 2 nodes"):
        cluster.drain("zone", guard=guard)
    assert "unschedulable" not in cluster.request("GET", f"{NODES}/{node}")["spec"]
    cluster.nodes("zone-new-b", 1, zones=("b",))
    cluster.request("PATCH", f"{NODES}/zone-new-b-0", {"metadata": {"labels": {"pool": "zone-new"}}})
    assert cluster.drain("zone", guard=guard).outcome == "drained"
    cluster.wait_ready(space, 1)
    assert cluster.pods(space)[0]["spec"]["nodeName"] == "zone-new-b-0"


def attaches_at_most(cluster, node, number):
    """The node as its kubelet tells of it once a CSI driver has registered there."""
    drivers = [{"name": "ebs.csi.aws.com", "nodeID": node, "topologyKeys": [], "allocatable": {"count": number}}]
    cluster.request("POST", attach_limits.CSI_NODES, {"metadata": {"name": node}, "spec": {"drivers": drivers}})


def test_nodes_that_can_attach_too_few_volumes_are_refused_before_the_first_cordon_and_named(cluster):
    space = cluster.namespace()
    (node,) = cluster.nodes("limit", 1)
    for name in ("one", "two"):
        volume(cluster, space, f"limit-{name}")
        cluster.stateful_set(space, name, 1, **on("limit", "limit-new"), **mounting(f"limit-{name}"))
    cluster.wait_ready(space, 2)
    attaches_at_most(cluster, *cluster.nodes("limit-new", 1), 1)

    def going(view):
        return view.labels.get("pool") == "limit"

    def guard(world):
        guards.require_room(attach_limits.seen(cluster.client, world, going, pytest.fail), going, DrainSettings())

    refusal = rf"1 of 2 pods .*: {space}/(one|two)-0 \(its 1 volume of ebs.csi.aws.com would exceed .*, 1 at most\)"
    with pytest.raises(CapacityError, match=refusal):
        cluster.drain("limit", guard=guard)
    assert "unschedulable" not in cluster.request("GET", f"{NODES}/{node}")["spec"]
    cluster.nodes("limit-more", 1)
    attaches_at_most(cluster, "limit-more-0", 1)
    cluster.request("PATCH", f"{NODES}/limit-more-0", {"metadata": {"labels": {"pool": "limit-new"}}})
    assert cluster.drain("limit", guard=guard).outcome == "drained"
    cluster.wait_ready(space, 2)
    assert {pod["spec"]["nodeName"] for pod in cluster.pods(space)} == {"limit-new-0", "limit-more-0"}


def test_volumes_follow_their_pods_and_a_pod_waits_until_its_volume_is_off_the_other_node(cluster):
    space = cluster.namespace()
    (node,) = cluster.nodes("follow", 1)
    volume(cluster, space, "follow-data")
    with AttachmentController(cluster.client) as controller:
        labels = {SIMULATED: "simulated"}
        cluster.stateful_set(space, "db", 1, labels=labels, **on("follow", "follow-new"), **mounting("follow-data"))
        cluster.wait_ready(space, 1)
        cluster.nodes("follow-new", 1)
        assert cluster.drain("follow").outcome == "drained"
        cluster.wait_ready(space, 1)
        (attachment,) = (
            item
            for item in cluster.request("GET", ATTACHMENTS)["items"]
            if item["spec"]["source"]["persistentVolumeName"] == "follow-data"
        )
        assert attachment["spec"]["nodeName"] == "follow-new-0" != node
        assert not controller.abandoned
