"""What is asked through a pool's record reaches the drain that is meant, and no other."""

from dataclasses import replace

import pytest

from pulumi_nodepools.cluster import lease, requests
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.cluster.requests import RequestWatcher
from pulumi_nodepools.drain.events import Pause, Resume, Stop
from tests.unit.memory_cluster import MemoryCluster


@pytest.fixture
def record():
    return PoolRecord(MemoryCluster(), "worker")


@pytest.fixture
def watched(record):
    told = []
    return RequestWatcher([record], told.append), told


def test_a_pause_is_told_once_and_so_is_its_end(record, watched):
    watcher, told = watched
    watcher.look()
    assert told == []
    asked = requests.ask(record, "pause")
    watcher.look()
    watcher.look()
    assert told == [Pause(str(asked))]
    assert "@" in asked.by
    assert requests.withdraw(record) == asked
    watcher.look()
    watcher.look()
    assert told == [Pause(str(asked)), Resume()]
    assert requests.withdraw(record) is None


def test_a_drain_that_starts_later_is_paused_too(record):
    requests.ask(record, "pause")
    told = []
    RequestWatcher([record], told.append).look()
    assert [type(one) for one in told] == [Pause]


def test_a_stop_means_the_run_that_holds_the_pool_now(record, watched):
    watcher, told = watched
    with record.hold():
        asked = requests.ask(record, "stop")
        assert asked.holder == lease.holder_identity()
        watcher.look()
    assert told == [Stop(str(asked))]
    record.update(lambda now: replace(now, request=replace(asked, holder="another-run")))
    told.clear()
    watcher.look()
    assert told == []


def test_a_request_comes_back_from_the_record_and_an_empty_one_is_none(record):
    asked = requests.ask(record, "pause")
    assert record.load().request == asked
    requests.withdraw(record)
    assert record.load().request is None
