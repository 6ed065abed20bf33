"""The Lease: one holder, fenced at the server, taken over only from the silent."""

import threading

import pytest

from pulumi_nodepools.cluster import lease
from pulumi_nodepools.cluster.lease import LEASES, Timing
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.errors import ApiError, ClusterUnreachableError, HeldError
from tests.unit.memory_cluster import MemoryCluster

PATH = f"{LEASES}/nodepools-worker"
QUICK = Timing(duration=1.0, renew=0.1)
SLOW = Timing(duration=60.0, renew=1.0)


@pytest.fixture
def cluster():
    return MemoryCluster()


def _foreign(cluster, holder="other-host-1-abcd"):
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 1, "renewTime": "2020-01-01T00:00:00.000000Z"}
    return cluster.create(LEASES, {"metadata": {"name": "nodepools-worker"}, "spec": spec})


def _speak(cluster, number):
    stored = cluster.get(PATH)
    stored["spec"]["renewTime"] = f"2020-01-01T00:00:00.{number:06d}Z"
    cluster.replace(PATH, stored)


def test_held_and_released(cluster):
    record = PoolRecord(cluster, "worker")
    with record.hold(timing=QUICK) as holder:
        holder.check()
        assert record.holder() == lease.holder_identity()
    assert record.holder() == ""


def test_renewed_in_the_background(cluster):
    with PoolRecord(cluster, "worker").hold(timing=QUICK):
        first = cluster.get(PATH)["spec"]["renewTime"]
        deadline = threading.Event()
        while cluster.get(PATH)["spec"]["renewTime"] == first:
            assert not deadline.wait(0.01)


def test_a_living_foreign_holder_is_refused_even_if_its_clock_is_years_behind(cluster):
    _foreign(cluster)
    ended = threading.Event()

    def live():
        number = 0
        while not ended.wait(0.05):
            number += 1
            _speak(cluster, number)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        with (
            pytest.raises(HeldError, match=r"other-host-1-abcd holds .* is alive"),
            PoolRecord(cluster, "worker").hold(timing=QUICK),
        ):
            pass
    finally:
        ended.set()
        thread.join()
    assert cluster.get(PATH)["spec"]["holderIdentity"] == "other-host-1-abcd"


def test_a_living_holder_that_ends_soon_is_waited_for(cluster):
    _foreign(cluster)
    stored = cluster.get(PATH)
    stored["spec"]["leaseDurationSeconds"] = 3600
    cluster.replace(PATH, stored)
    ended = threading.Event()

    def end_soon():
        for number in range(1, 4):
            ended.wait(0.1)
            _speak(cluster, number)
        stored = cluster.get(PATH)
        stored["spec"]["holderIdentity"] = ""
        cluster.replace(PATH, stored)

    thread = threading.Thread(target=end_soon)
    thread.start()
    with PoolRecord(cluster, "worker").hold(timing=QUICK) as holder:
        holder.check()
    thread.join()


def test_a_silent_foreign_holder_is_taken_over(cluster):
    _foreign(cluster)
    with PoolRecord(cluster, "worker").hold(timing=QUICK) as holder:
        holder.check()
        assert cluster.get(PATH)["spec"]["leaseTransitions"] == 1


def test_one_that_died_on_this_host_is_taken_over_at_once(cluster):
    # The pid of nobody, in the place where we run: waiting for it to run out would take an hour here.
    host, _pid, _start, place = lease.holder_identity().rsplit("-", 3)
    _foreign(cluster, f"{host}-{2**22 + 1}-1-{place}")
    stored = cluster.get(PATH)
    stored["spec"]["leaseDurationSeconds"] = 3600
    cluster.replace(PATH, stored)
    with PoolRecord(cluster, "worker").hold(timing=Timing()) as holder:
        holder.check()


@pytest.mark.parametrize("how", ["taken", "deleted"])
def test_a_lost_lease_is_found_by_the_next_check_and_stops_the_drain(cluster, how):
    stop = threading.Event()
    with PoolRecord(cluster, "worker").hold(stop=stop, timing=Timing()) as holder:
        holder.check()
        if how == "deleted":
            cluster.delete(PATH)
        else:
            stored = cluster.get(PATH)
            stored["spec"]["holderIdentity"] = "thief"
            cluster.replace(PATH, stored)
        with pytest.raises(HeldError, match="taken by thief" if how == "taken" else "was deleted"):
            holder.check()
        assert stop.is_set()
    if how == "taken":
        assert cluster.get(PATH)["spec"]["holderIdentity"] == "thief"


def test_without_an_api_server_no_batch_begins_and_the_lease_is_lost_before_it_runs_out(cluster):
    stop = threading.Event()
    with PoolRecord(cluster, "worker").hold(stop=stop, timing=QUICK) as holder:
        cluster.down = True
        with pytest.raises(HeldError, match="could not be renewed for 1 s"):
            holder.check()
        assert stop.is_set()
        cluster.down = False
        with pytest.raises(HeldError):
            holder.check()


class Faulty(MemoryCluster):
    """Its next writes end as `faults` say: an error before they are done, or with `lost` after that."""

    def __init__(self):
        super().__init__()
        self.faults, self.lost, self.timeouts = [], False, []

    def replace(self, path, body, *, timeout=30.0):
        self.timeouts.append(timeout)
        if self.faults and not self.lost:
            raise self.faults.pop()
        done = super().replace(path, body)
        if self.faults:
            raise self.faults.pop()
        return done


@pytest.mark.parametrize("lost", [False, True])
def test_a_failure_that_passes_does_not_end_a_check(lost):
    cluster, stop = Faulty(), threading.Event()
    with PoolRecord(cluster, "worker").hold(stop=stop, timing=SLOW) as holder:
        cluster.lost = lost
        cluster.faults = [ApiError("busy", status=503), ClusterUnreachableError("reset")]
        holder.check()
        assert not holder.lost
        assert not stop.is_set()
    assert PoolRecord(cluster, "worker").holder() == ""


def test_a_lease_is_freed_although_the_answer_to_its_last_renewal_went_missing():
    cluster = Faulty()
    with PoolRecord(cluster, "worker").hold(timing=SLOW):
        stored = cluster.get(PATH)
        MemoryCluster.replace(cluster, PATH, stored)
    assert PoolRecord(cluster, "worker").holder() == ""


def test_a_renewal_that_gets_no_answer_leaves_time_for_another_before_the_lease_is_lost():
    cluster = Faulty()
    with PoolRecord(cluster, "worker").hold(timing=SLOW) as holder:
        holder.check()
        assert cluster.timeouts[-1] == SLOW.renew / 2
        assert 2 * Timing().renew <= Timing().deadline, "two tries, each half as long as the wait before them"
        holder._renewed -= SLOW.deadline - SLOW.again
        holder.check()
        assert cluster.timeouts[-1] == pytest.approx(SLOW.again, abs=0.1), "no longer than the Lease has left"


def test_hooks_of_one_process_queue(cluster):
    order = []
    inside = threading.Event()

    def second():
        inside.wait(5)
        with PoolRecord(cluster, "worker").hold(timing=QUICK):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with PoolRecord(cluster, "worker").hold(timing=QUICK) as holder:
        inside.set()
        holder.check()
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]
