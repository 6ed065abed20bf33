"""The pool's record: what is written is read back, and nobody's write is lost."""

import json
from dataclasses import replace

import pytest

from pulumi_nodepools.cluster import asking
from pulumi_nodepools.cluster.record import CONFIG_MAPS, Frozen, PoolRecord, Record, all_records
from pulumi_nodepools.errors import ApiError, ConfigError
from tests.unit.memory_cluster import MemoryCluster

FROZEN = Frozen("arn:one", "v1", 1, 5, 2, ("AZRebalance", "Launch"))


@pytest.fixture
def cluster():
    return MemoryCluster()


def test_nothing_written_is_an_empty_record(cluster):
    assert PoolRecord(cluster, "worker").load() == Record("worker")
    assert not cluster.objects


def test_everything_comes_back(cluster):
    wanted = Record(
        "worker", serving="v2", serving_groups=("g2",), phase="serving", frozen={"g1": FROZEN}, evidence={"a": 1}
    )
    PoolRecord(cluster, "worker").update(lambda _: wanted)
    assert PoolRecord(cluster, "worker").load() == wanted
    assert all_records(cluster) == [wanted]


def test_a_write_in_between_is_not_lost(cluster):
    record = PoolRecord(cluster, "worker")
    record.update(lambda now: replace(now, phase="begun"))
    calls = []

    def change(now):
        calls.append(now)
        if len(calls) == 1:
            PoolRecord(cluster, "worker").update(lambda other: replace(other, serving="v1"))
        return replace(now, phase="drained")

    assert record.update(change) == record.load() == Record("worker", serving="v1", phase="drained")
    assert len(calls) == 2


def test_a_first_write_that_comes_second_is_not_lost_either(cluster):
    calls = []

    def change(now):
        calls.append(now)
        if len(calls) == 1:
            PoolRecord(cluster, "worker").update(lambda other: replace(other, serving="v1"))
        return replace(now, phase="begun")

    assert PoolRecord(cluster, "worker").update(change).serving == "v1"


def test_writes_without_end_are_an_error_and_not_a_loop(cluster):
    record = PoolRecord(cluster, "worker")

    def change(now):
        PoolRecord(cluster, "worker").update(lambda other: replace(other, phase=other.phase + "x"))
        return replace(now, serving="v1")

    with pytest.raises(ApiError, match="8 times in a row"):
        record.update(change)


def test_an_unchanged_record_is_not_written(cluster):
    record = PoolRecord(cluster, "worker")
    record.update(lambda now: replace(now, phase="begun"))
    before = dict(cluster.objects)
    record.update(lambda now: now)
    assert cluster.objects == before


def test_keys_of_a_newer_release_survive_and_a_newer_schema_is_refused(cluster):
    text = json.dumps({"schema": 1, "serving": "v1", "pauseRequested": True})
    body = {"metadata": {"name": "nodepools-worker"}, "data": {"record.json": text}}
    cluster.create(CONFIG_MAPS, body)
    PoolRecord(cluster, "worker").update(lambda now: replace(now, phase="begun"))
    assert json.loads(cluster.objects[f"{CONFIG_MAPS}/nodepools-worker"]["data"]["record.json"])["pauseRequested"]
    with pytest.raises(ConfigError, match="schema 7, this release reads up to 1"):
        Record.from_json("worker", '{"schema": 7}')


def test_a_failure_that_passes_loses_neither_a_read_nor_a_write(cluster, monkeypatch):
    monkeypatch.setattr(asking, "pause", lambda _seconds: setattr(cluster, "down", False))
    record = PoolRecord(cluster, "worker")
    cluster.down = True
    assert record.load() == Record("worker")
    for phase in ("begun", "drained"):
        record.update(lambda now, phase=phase: _away(cluster, replace(now, phase=phase)))
        assert record.load().phase == phase


def _away(cluster, wanted):
    """The API server goes away between a read and the write that follows."""
    cluster.down = True
    return wanted
