"""Record and Lease on the real API server, whose refusals the unit tests only imitate."""

import threading
from dataclasses import replace

import pytest

from pulumi_nodepools.cluster import lease
from pulumi_nodepools.cluster.access import Access
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.cluster.lease import LEASES, Timing
from pulumi_nodepools.cluster.record import PoolRecord, all_records
from pulumi_nodepools.errors import HeldError

pytestmark = pytest.mark.apiserver
QUICK = Timing(duration=2.0, renew=0.4)


@pytest.fixture(scope="module")
def client(plane):
    return Client.connect(Access(kind="kubeconfig", path=str(plane.kubeconfig)))


def _as(monkeypatch, holder):
    """From here on this process calls itself `holder`, as another host's would."""
    monkeypatch.setattr(lease, "_PROCESS", holder)
    monkeypatch.setattr(lease, "_QUEUES", {})


def test_a_record_survives_concurrent_writers(client):
    record = PoolRecord(client, "concurrent")

    def add(name):
        record.update(lambda now: replace(now, evidence={**now.evidence, name: True}))

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(record.load().evidence) == set("abcd")
    assert "concurrent" in {found.pool for found in all_records(client)}


def test_a_second_holder_is_refused_while_the_first_lives(client, monkeypatch):
    record = PoolRecord(client, "two")
    _as(monkeypatch, "host-a")
    with record.hold(timing=QUICK) as first:
        mine = lease._PROCESS
        refused = []

        def other():
            # Only the acquisition runs under the other name; the renewals of the first keep theirs in its Lease.
            try:
                lease._acquire(client, "nodepools-two", QUICK)
            except HeldError as error:
                refused.append(str(error))

        lease._PROCESS = "host-b"
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(30)
        lease._PROCESS = mine
        first.check()
    assert refused
    assert "host-a holds the Lease kube-system/nodepools-two and is alive" in refused[0]


def test_a_dead_holder_is_taken_over_and_finds_out(client, monkeypatch):
    record = PoolRecord(client, "dead")
    _as(monkeypatch, "host-a")
    dead = lease.LeaseHolder(client, record.name, lease._acquire(client, record.name, QUICK), QUICK, threading.Event())
    _as(monkeypatch, "host-b")
    with record.hold(timing=QUICK) as second:
        second.check()
        assert record.holder() == "host-b"
        monkeypatch.setattr(lease, "_PROCESS", "host-a")
        with pytest.raises(HeldError, match="was taken by host-b"):
            dead.check()
        monkeypatch.setattr(lease, "_PROCESS", "host-b")


def test_a_released_lease_is_free_at_once(client, monkeypatch):
    record = PoolRecord(client, "released")
    _as(monkeypatch, "host-a")
    with record.hold(timing=Timing()):
        pass
    _as(monkeypatch, "host-b")
    with record.hold(timing=Timing()):
        transitions = client.get(f"{LEASES}/{record.name}")["spec"]["leaseTransitions"]
    assert transitions == 1
