"""Pods that move: what their service loses with the step that a drain takes for them, and without it."""

import time

import pytest

from pulumi_nodepools.drain import detaching
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.errors import CapacityError, DrainBlockedError
from pulumi_nodepools.hooks import guards
from sandbox.controllers.attachments import FORCED, PODS, VOLUMES, AttachmentController
from sandbox.controllers.loop import Controller
from sandbox.recorder import Recorder
from sandbox.traffic import RATE, DataPath, Route
from tests.apiserver.drain_case import NODES, on, workload
from tests.apiserver.test_drain_volumes import in_zone, mounting, volume

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(150)]
SLOW = {"sandbox.nodepools.dev/stop-delay": "1", "sandbox.nodepools.dev/start-delay": "4"}
QUICK = {"sandbox.nodepools.dev/stop-delay": "0.1", "sandbox.nodepools.dev/start-delay": "0.5"}


class Operator(Controller):
    """Keeps one pod with a volume, as operators of databases do: no drain can know that it is wanted back."""

    def __init__(self, cluster, space, claim, **spec):
        super().__init__(cluster.client, (PODS,))
        owner = cluster.request("POST", f"/api/v1/namespaces/{space}/configmaps", {"metadata": {"name": "owner"}})
        template = workload("db", 1, annotations=QUICK, labels={VOLUMES: "simulated"}, **spec, **mounting(claim))
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "controller": True, "name": "owner"}
        self._pod = template["template"] | {"apiVersion": "v1", "kind": "Pod"}
        self._pod["metadata"] |= {"name": "db", "ownerReferences": [reference | {"uid": owner["metadata"]["uid"]}]}
        self._path = f"/api/v1/namespaces/{space}/pods"

    def look(self, now):
        self.client.request("POST", self._path, body=self._pod)  # refused as long as the pod is there


def lost(cluster, space, service, roll):
    """What became of the requests to a service while a roll took place."""
    recorder, began = Recorder(cluster.client, "").start(), time.time()
    roll()
    ended, ledger = time.time(), recorder.stop()
    assert not recorder.gaps
    return DataPath({}, {}, ledger.serving, ledger.instances).requests(Route(f"{space}/{service}"), began, ended)


def single_replica(cluster, pool, surges, _monkeypatch):
    """The only pod of a Deployment."""
    space = cluster.namespace()
    cluster.nodes(pool, 1)
    cluster.deployment(space, "web", 1, annotations=SLOW, **on(pool, f"{pool}-new"))
    cluster.service(space, "web")
    cluster.wait_ready(space, 1)
    cluster.nodes(f"{pool}-new", 1)
    settings = {"single_replicas": "surge" if surges else "evict"}
    return lost(cluster, space, "web", lambda: cluster.drain(pool, **settings))


def zonal_volume(cluster, pool, checks, _monkeypatch):
    """A pod whose volume is in a zone where no new node is."""
    space = cluster.namespace()
    cluster.nodes(pool, 1, zones=("b",))
    volume(cluster, space, pool, **in_zone("b"))
    cluster.stateful_set(space, "db", 1, annotations=QUICK, **on(pool, f"{pool}-new"), **mounting(pool))
    cluster.service(space, "db")
    cluster.wait_ready(space, 1)
    cluster.nodes(f"{pool}-new", 2, zones=("a", "c"))

    def placed(world):
        guards.require_room(world, lambda view: view.labels.get("pool") == pool, DrainSettings())

    def roll():
        with pytest.raises(CapacityError if checks else DrainBlockedError, match=f"{space}/db"):
            cluster.drain(pool, guard=placed if checks else None, node_timeout=3)

    return lost(cluster, space, "db", roll)


def attached_volume(cluster, pool, waits, monkeypatch):
    """A pod with a volume, on a node that ends once it is drained."""
    space = cluster.namespace()
    (node,) = cluster.nodes(pool, 1)
    volume(cluster, space, pool)
    cluster.service(space, "db")
    if not waits:
        monkeypatch.setattr(detaching, "over", lambda *_: True)

    def roll():
        cluster.drain(pool)
        cluster.request("DELETE", f"{NODES}/{node}")
        cluster.wait(lambda: [pod["spec"]["nodeName"] for pod in cluster.ready(space)] == [f"{pool}-new-0"])

    # Slow to take volumes off, so that a drain that does not wait is over before.
    with (
        AttachmentController(cluster.client, detach=8.0) as volumes,
        Operator(cluster, space, pool, **on(pool, f"{pool}-new")),
    ):
        cluster.wait_ready(space, 1)
        cluster.nodes(f"{pool}-new", 1)
        tally = lost(cluster, space, "db", roll)
        assert volumes.abandoned == (set() if waits else {pool})
    return tally


@pytest.mark.parametrize(
    ("move", "most", "least"),
    [
        (single_replica, 0, RATE / 2),
        (zonal_volume, 0, RATE),
        # A volume can be on one node only, so its pod has to be away for a moment.
        (attached_volume, FORCED * RATE - 1, FORCED * RATE),
    ],
)
def test_a_step_that_is_left_out_loses_requests(cluster, monkeypatch, move, most, least):
    name = move.__name__.replace("_", "-")
    tally = move(cluster, f"{name}-with", True, monkeypatch)
    assert tally.sent
    assert tally.lost <= most, tally
    tally = move(cluster, f"{name}-without", False, monkeypatch)
    assert tally.lost >= least, tally
    assert "no pod of the service" in tally.first
