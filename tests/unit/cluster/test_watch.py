"""A watcher goes on where it was, lists again when it must, and says what is gone."""

import json
import queue

import pytest

from pulumi_nodepools.cluster.watch import RESOURCES, Failed, Ready, Watcher
from pulumi_nodepools.drain.events import Gone, Relisted, Seen, WatchBack, WatchLost
from pulumi_nodepools.errors import AccessDeniedError, ApiError, ClusterUnreachableError, ConfigError

PODS = RESOURCES[0]


def pod(name, version, **spec):
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": version}
    return {"metadata": meta, "spec": spec, "status": {"phase": "Running"}}


def line(kind, thing):
    return json.dumps({"type": kind, "object": thing}).encode()


class FakeClient:
    """Plays scripts: each list or watch takes the next; an exception in a script is raised there."""

    def __init__(self, lists, watches):
        self.lists, self.watches, self.versions = list(lists), list(watches), []

    def list_raw(self, path, **query):
        script = self.lists.pop(0)
        if isinstance(script, Exception):
            raise script
        yield json.dumps(script).encode()

    def watch_lines(self, path, *, resource_version, timeout_seconds, opened):
        self.versions.append(resource_version)
        if not self.watches:
            raise AccessDeniedError("end of the script")
        for step in self.watches.pop(0):
            if isinstance(step, Exception):
                raise step
            yield step


def listed(version, *pods):
    return {"metadata": {"resourceVersion": version}, "items": list(pods)}


def told(client):
    """What a watcher says until the script ends."""
    inbox = queue.SimpleQueue()
    watcher = Watcher(client, PODS, inbox.put)
    watcher.start()
    watcher.join(20)
    assert not watcher.is_alive()
    found = []
    while not inbox.empty():
        found.append(inbox.get())
    assert isinstance(found[-1], Failed)
    assert found[-1].fatal
    return found[:-1]


def test_a_list_then_changes_in_order():
    client = FakeClient(
        [listed("5", pod("a", "3"))],
        [[line("ADDED", pod("b", "6")), line("DELETED", pod("a", "7"))]],
    )
    events = told(client)
    assert [type(event) for event in events] == [Seen, Relisted, Ready, Seen, Gone]
    assert events[1].keys == {"uid-a"}
    assert events[4] == Gone("pods", "uid-a")


def test_a_dropped_watch_goes_on_from_the_last_version_seen_bookmarks_included():
    bookmark = line("BOOKMARK", {"metadata": {"resourceVersion": "40"}, "spec": {}})
    client = FakeClient(
        [listed("5")],
        [[line("ADDED", pod("a", "8")), ClusterUnreachableError("reset")], [bookmark], []],
    )
    events = told(client)
    assert client.versions == ["5", "8", "40", "40"]
    assert sum(isinstance(event, Relisted) for event in events) == 1
    assert [event.fatal for event in events if isinstance(event, Failed)] == [False]


@pytest.mark.parametrize(
    "expiry",
    [ApiError("too old", status=410), line("ERROR", {"kind": "Status", "code": 410, "message": "too old"})],
)
def test_an_expired_version_means_listing_again_and_saying_what_is_gone(expiry):
    client = FakeClient([listed("5", pod("a", "3")), listed("9", pod("b", "8"))], [[expiry], []])
    events = told(client)
    relists = [event for event in events if isinstance(event, Relisted)]
    assert [event.keys for event in relists] == [{"uid-a"}, {"uid-b"}]
    assert sum(isinstance(event, Ready) for event in events) == 1


def test_a_server_that_is_away_at_first_is_asked_again():
    client = FakeClient([ClusterUnreachableError("refused"), listed("5")], [[]])
    assert any(isinstance(event, Ready) for event in told(client))


def test_what_is_listed_once_is_asked_for_until_it_is_known_and_not_watched():
    client, inbox = (
        FakeClient([ClusterUnreachableError("refused"), listed("5", pod("a", "3"))], []),
        queue.SimpleQueue(),
    )
    Watcher(client, PODS, inbox.put, once=True).run()
    found = [inbox.get() for _ in range(inbox.qsize())]
    assert [type(event) for event in found] == [Failed, WatchLost, Seen, Relisted, Ready]
    assert client.versions == []


def test_a_watch_that_is_lost_says_so_once_it_fails_and_again_when_it_is_back():
    client = FakeClient(
        [listed("5")],
        [[ClusterUnreachableError("reset")], [ClusterUnreachableError("refused")], [line("ADDED", pod("a", "8"))]],
    )
    events = [event for event in told(client) if not isinstance(event, Failed)]
    assert events[2:] == [WatchLost("pods"), WatchLost("pods"), WatchBack("pods"), events[-1]]


@pytest.mark.parametrize(
    "trouble", [ConfigError("kubeconfig is gone"), b'{"type": "ADDED", "object": {"metadata": 1}}']
)
def test_no_trouble_ends_a_watch_in_silence(trouble):
    events = told(FakeClient([listed("5")], [[trouble], []]))
    assert [event.fatal for event in events if isinstance(event, Failed)] == [False]


def test_an_unexpected_error_ends_the_drain_not_only_the_watch():
    inbox = queue.SimpleQueue()
    watcher = Watcher(FakeClient([listed("5")], [[KeyError("a bug")]]), PODS, inbox.put)
    watcher.run()
    found = [inbox.get() for _ in range(inbox.qsize())]
    assert isinstance(found[-1], Failed)
    assert found[-1].fatal
