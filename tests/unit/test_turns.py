"""One drain at a time in a cluster: the line inside a process, the Lease between processes, and who is named."""

import threading

import pytest

from pulumi_nodepools.cluster import lease
from pulumi_nodepools.cluster.lease import LEASES, Timing
from pulumi_nodepools.cluster.turns import turn
from pulumi_nodepools.errors import HeldError
from pulumi_nodepools.names import DRAIN_LEASE
from tests.unit.memory_cluster import MemoryCluster

QUICK = Timing(duration=1.0, renew=0.1)
PATH = f"{LEASES}/{DRAIN_LEASE}"


@pytest.fixture
def cluster():
    return MemoryCluster()


def taking(cluster, who, *, stop=None, limit=60.0, waits=lambda other: None, **order):
    return turn(cluster, who, stop=stop or threading.Event(), limit=limit, waits=waits, timing=QUICK, **order)


def test_drains_of_one_process_follow_each_other_in_the_order_in_which_they_came(cluster):
    story, named, threads = [], {}, []
    queued = {who: threading.Event() for who in ("b 1", "c 1")}

    def drain(who):
        def waits(other):
            named.setdefault(who, other)
            queued[who].set()

        with taking(cluster, who, waits=waits):
            story.append(f"{who} begins")
            story.append(f"{who} ends")

    with taking(cluster, "a 1"):
        for who, waits_now in queued.items():
            threads.append(threading.Thread(target=drain, args=(who,)))
            threads[-1].start()
            assert waits_now.wait(30)
        assert story == [], "nobody begins while another drains"
    for thread in threads:
        thread.join(30)
    assert story == ["b 1 begins", "b 1 ends", "c 1 begins", "c 1 ends"]
    assert named == {"b 1": "a 1", "c 1": "a 1"}
    assert cluster.get(PATH)["spec"]["holderIdentity"] == ""


def line_up(cluster, orders, courtesy=0.0):
    """Drains that wait in this process, in the order in which they came; returns how they began."""
    story, threads = [], []

    def drain(who, order, queued):
        with taking(cluster, who, order=order, courtesy=courtesy, waits=lambda _other: queued.set()):
            story.append(who)

    with taking(cluster, "at work"):
        for who, order in orders.items():
            queued = threading.Event()
            threads.append(threading.Thread(target=drain, args=(who, order, queued)))
            threads[-1].start()
            assert queued.wait(30)
    for thread in threads:
        thread.join(30)
    return story


def test_pools_with_a_lower_order_go_first_and_equals_as_they_came(cluster):
    orders = {"late": 5, "second": 0, "first": -1, "third": 0}
    assert line_up(cluster, orders) == ["first", "second", "third", "late"]


def test_a_pool_with_an_order_leaves_the_others_time_to_come_and_then_goes(cluster):
    polite, stop = threading.Event(), threading.Event()

    def wait_politely():
        with pytest.raises(HeldError, match="waited for the drain of pools with a lower order, should they come"):
            taking(cluster, "last", order=1, courtesy=60.0, stop=stop, waits=lambda _other: polite.set()).__enter__()

    thread = threading.Thread(target=wait_politely)
    thread.start()
    assert polite.wait(30)
    with taking(cluster, "usual", limit=0.0):
        stop.set()
    thread.join(30)
    with taking(cluster, "last", order=1, courtesy=0.1):
        pass


class Foreign:
    """A drain of another run, alive until it is released or falls silent."""

    def __init__(self, cluster, note="two 7.6"):
        self._cluster, self._over = cluster, threading.Event()
        metadata = {"name": DRAIN_LEASE, "annotations": {"nodepools.dev/held-for": note}}
        spec = {"holderIdentity": "other-host-1-abcd", "leaseDurationSeconds": 1, "renewTime": "2020"}
        cluster.create(LEASES, {"metadata": metadata, "spec": spec})
        self._thread = threading.Thread(target=self._live)
        self._thread.start()

    def _live(self):
        number = 0
        while not self._over.wait(0.03):
            number += 1
            self._write(renewTime=f"2020-{number}")

    def _write(self, **spec):
        stored = self._cluster.get(PATH)
        stored["spec"].update(spec)
        self._cluster.replace(PATH, stored)

    def falls_silent(self):
        self._over.set()
        self._thread.join()

    def ends(self):
        self.falls_silent()
        self._write(holderIdentity="")


@pytest.mark.parametrize("end", ["ends", "falls_silent"])
def test_the_drain_of_another_run_is_waited_for_and_named_until_it_ends_or_dies(cluster, end):
    foreign, heard = Foreign(cluster), []

    def waits(other):
        heard.append(other)
        if len(heard) == 2:
            getattr(foreign, end)()

    with taking(cluster, "one 7.6", waits=waits) as held:
        held.check()
        stored = cluster.get(PATH)
        assert stored["metadata"]["annotations"]["nodepools.dev/held-for"] == "one 7.6"
    assert set(heard[:2]) == {"two 7.6 by other-host-1-abcd"}


def test_a_drain_that_was_killed_on_this_host_is_not_waited_for(cluster):
    host, _pid, _start, place = lease.holder_identity().rsplit("-", 3)
    # The pid of nobody, in the place where we run.
    spec = {"holderIdentity": f"{host}-{2**22 + 1}-1-{place}", "leaseDurationSeconds": 3600, "renewTime": "2020"}
    cluster.create(LEASES, {"metadata": {"name": DRAIN_LEASE}, "spec": spec})
    heard = []
    with taking(cluster, "one 7.6", waits=heard.append) as held:
        held.check()
    assert heard == []


def test_it_is_not_waited_for_longer_than_the_drain_may_take(cluster):
    foreign = Foreign(cluster)
    try:
        with pytest.raises(HeldError, match=r"one 7\.6 waited 0\.1 s for the drain of two 7\.6 by other-host"):
            taking(cluster, "one 7.6", limit=0.1).__enter__()
        with taking(MemoryCluster("elsewhere"), "one 7.6", limit=0.1):
            pass
    finally:
        foreign.ends()


def test_whoever_is_stopped_while_waiting_leaves_the_line(cluster):
    stop = threading.Event()
    with taking(cluster, "a 1"), pytest.raises(HeldError, match="nothing was evicted"):
        taking(cluster, "b 1", stop=stop, waits=lambda _other: stop.set()).__enter__()
    with taking(cluster, "c 1"):
        pass
