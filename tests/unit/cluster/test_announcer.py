"""Everyone in the cluster is told what a drain does to nodes and why pods stay, without harm to the drain."""

import threading

import pytest

from pulumi_nodepools.cluster import announcer
from pulumi_nodepools.cluster.announcer import Announcer
from pulumi_nodepools.drain.events import CordonNode, Evict, Say
from pulumi_nodepools.drain.model import Diagnosis, NodeView, PodView
from pulumi_nodepools.drain.world import World
from pulumi_nodepools.errors import AccessDeniedError, ApiError

BLOCKED = Diagnosis("pdb-exhausted", "pod shop/web", "n", "needs 2, has 2", "wait")


class Server:
    def __init__(self, *errors):
        self.errors = list(errors)
        self.written = []

    def create(self, path, body):
        if self.errors:
            raise self.errors.pop(0)
        self.written.append((path, body))


@pytest.fixture
def world():
    made = World()
    made.nodes["n"] = NodeView(name="n", uid="node-uid")
    made.put_pod(PodView(namespace="shop", name="web", uid="pod-uid", node="n"))
    return made


def _told(server, world, tell):
    thread = Announcer(server, world, "worker/v1")
    thread.start()
    tell(thread)
    thread.close()
    thread.join(10)
    assert not thread.is_alive()
    return [(body["reason"], body["type"], body["regarding"]["name"], body["note"]) for _, body in server.written]


def test_nodes_and_blocked_pods_are_told_once(world):
    server = Server()

    def tell(thread):
        thread.saw(CordonNode("n"))
        thread.saw(CordonNode("n"))
        for _ in range(3):
            thread.blocked([BLOCKED, Diagnosis("waiting", "pod shop/web", "n", "its turn", "")])
        thread.saw(Evict("shop", "web", "pod-uid", "n"))
        thread.saw(Say("batch", "", "batch 1: n"))
        thread.saw(Say("node-drained", "n", "node n is drained"))
        thread.blocked([Diagnosis("node-refused", "node n", "n", "", ""), Diagnosis("x", "pod shop/gone", "n", "", "")])

    assert _told(server, world, tell) == [
        ("DrainStarted", "Normal", "n", "cordoned by worker/v1"),
        ("DrainBlocked", "Warning", "web", "pdb-exhausted: needs 2, has 2. Fix: wait"),
        ("Drained", "Normal", "n", "node n is drained"),
    ]
    paths = [path for path, _ in server.written]
    assert paths[:2] == [f"/apis/events.k8s.io/v1/namespaces/{space}/events" for space in ("default", "shop")]
    assert server.written[1][1]["regarding"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "web",
        "uid": "pod-uid",
        "namespace": "shop",
    }


def test_a_lost_event_is_no_failure_and_a_missing_right_ends_them(world):
    server = Server(ApiError("500", status=500))
    both = [CordonNode("n"), Say("node-drained", "n", "done")]
    assert [one[0] for one in _told(server, world, lambda thread: [thread.saw(one) for one in both])] == ["Drained"]
    refused = Server(AccessDeniedError("cannot create events"))
    assert _told(refused, world, lambda thread: [thread.saw(one) for one in both]) == []
    assert refused.errors == []


def test_they_are_not_without_end(world, monkeypatch):
    monkeypatch.setattr(announcer, "MOST", 3)
    server = Server()
    told = _told(server, world, lambda thread: [thread.saw(Say("forced", "n", f"pod {n}")) for n in range(9)])
    assert len(told) == 3


def test_long_notes_are_cut_at_what_the_server_takes(world):
    server = Server()
    _told(server, world, lambda thread: thread.saw(Say("forced", "n", "ü" * 2000)))
    assert len(server.written[0][1]["note"].encode()) <= 1024


def test_the_end_of_a_drain_does_not_wait_for_a_server_that_hangs(world, monkeypatch):
    monkeypatch.setattr(announcer, "_FAREWELL", 0.05)
    free = threading.Event()

    class Hanging(Server):
        def create(self, path, body):
            free.wait(30)

    thread = Announcer(Hanging(), world, "worker/v1")
    thread.start()
    thread.saw(CordonNode("n"))
    thread.close()
    assert thread.is_alive(), "closed without waiting for it"
    free.set()
    thread.join(10)


def test_a_pod_within_its_grace_is_nobody_elses_business_and_one_past_it_is(world):
    server = Server()

    def tell(thread):
        thread.blocked([Diagnosis("terminating-grace", "pod shop/web", "n", "9 s left", "", {"graceLeftSeconds": 9})])
        thread.blocked([Diagnosis("terminating-grace", "pod shop/web", "n", "over", "", {"overdueSeconds": 9})])

    assert [note for *_, note in _told(server, world, tell)] == ["terminating-grace: over. Fix: "]
