"""State files of earlier releases, as the engine wrote them: this release must still delete what they hold.

A file is added with each release and never changed. The engine hands a deletion the outputs that it stored.
"""

import base64
import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.hooks import draining, place
from pulumi_nodepools.hooks.boundary import Stopped
from pulumi_nodepools.hooks.provider import PROVIDER
from tests.unit.memory_cluster import MemoryCluster

STATES = sorted((Path(__file__).parent / "states").glob("*.json"))


def _resources(state):
    return {entry["urn"].rsplit("::", 1)[-1]: entry for entry in json.loads(state.read_text())}


def _provider(entry):
    # By reference: what is loaded is the code of today.
    return pickle.loads(base64.b64decode(entry["outputs"]["__provider"]))


def _delete(entry):
    _provider(entry).delete(entry["id"], entry["outputs"])


@pytest.fixture
def world(session, monkeypatch):
    """The account of the files, and clusters by their recorded identity."""
    uids = {entry["outputs"].get("clusterUid") for state in STATES for entry in _resources(state).values()} - {None}
    (uid,) = uids
    cluster = MemoryCluster(uid)
    monkeypatch.setattr(place.Client, "connect", lambda _access: cluster)
    monkeypatch.setattr(draining, "SETTLE_SECONDS", 0.0)
    return cluster


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.stem)
def test_everything_in_it_is_deleted(world, state):
    resources = _resources(state)
    record = PoolRecord(world, "life")
    record.update(lambda now: replace(now, serving="7.7.1908"))
    order = ("life-cutover", "life-gate", "life-7.6.1810-drain", "life-7.7.1908-drain")
    rest = ("life-7.6.1810-lock", "life-7.7.1908-lock", "life-soak")
    assert set(resources) == {*order, *rest}
    for name in (*order, *rest):
        _delete(resources[name])
    assert record.load().serving is None
    assert record.load().phase == "drained 7.7.1908"


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.stem)
def test_the_nodes_that_it_stands_for_are_still_known(world, state, monkeypatch):
    resources = _resources(state)
    world.add_node("left-over", "i-0aaaaaaaaaaaaaaaa", pool="life", version="7.6.1810")
    with pytest.raises(Stopped, match=r"Node left-over.*nothing was touched"):
        _delete(resources["life-7.6.1810-drain"])
    world.cluster_uid = "another"
    for name in ("life-7.6.1810-drain", "life-cutover"):
        with pytest.raises(Stopped, match="one with UID another; nothing was touched"):
            _delete(resources[name])


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.stem)
def test_a_refresh_keeps_what_is_stored(state):
    for name, entry in _resources(state).items():
        read = _provider(entry).read(entry["id"], entry["outputs"])
        stored = {key: value for key, value in entry["outputs"].items() if key != PROVIDER}
        assert (read.id, read.outs) == (entry["id"], stored), name
