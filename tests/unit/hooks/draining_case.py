"""A version that is to go beside one that serves, and a drain that only asks its guard."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from pulumi_nodepools.aws import groups
from pulumi_nodepools.cluster.record import PoolRecord
from pulumi_nodepools.drain.model import NodeView, Progress, WorldView
from pulumi_nodepools.hooks import draining, place
from pulumi_nodepools.hooks.progress import Engine
from pulumi_nodepools.names import POOL_LABEL, VERSION_LABEL
from tests.unit.hooks.place_case import add_group, where

BLUE, GREEN = "prod-worker-v1", "prod-worker-v2"


class Report:
    def __init__(self, **behind):
        self.behind = behind

    def to_json(self):
        return {"schemaVersion": 1, "nodes": {}}


class Told(Engine):
    def __init__(self):
        super().__init__(None)
        self.lines = []

    def status(self, urn, message):
        self.lines.append(message)

    info = warn = status


@pytest.fixture
def world(session, make_group, cluster, monkeypatch):
    """v1 with two nodes that is to go, v2 with two nodes that serves, and a drain that only asks its guard."""
    make_group(BLUE)
    made = groups.describe(session, [BLUE])
    blue = made[BLUE]
    add_group(session, GREEN, most=9)
    for instance in blue.instances:
        cluster.add_node(f"node-{instance.id}", instance.id, pool="worker", version="v1")
    record = PoolRecord(cluster, "worker")
    record.update(lambda now: replace(now, serving="v2", serving_groups=(GREEN,)))
    props = {
        **where(session, cluster),
        "version": "v1",
        "groups": [{"name": BLUE, "arn": blue.arn}],
        "drain": {"timeout": 60.0},
        "urn": "urn:hook",
    }
    monkeypatch.setattr(place.Client, "connect", lambda _access: cluster)
    monkeypatch.setattr(draining, "SETTLE_SECONDS", 0.0)
    made = SimpleNamespace(
        session=session, cluster=cluster, props=props, record=record, blue=blue, drained=[], act=None
    )
    made.green, made.green_ready = 2, True

    def nodes():
        both = [("v1", f"node-{one.id}", True) for one in made.blue.instances]
        both += [("v2", f"green-{n}", made.green_ready) for n in range(made.green)]
        return [
            NodeView(name=name, labels={POOL_LABEL: "worker", VERSION_LABEL: version}, ready=ready)
            for version, name, ready in both
        ]

    def drain(_client, *, nodes: object, owner, before_batch, listen, stop, instances, behind, remember, **_):
        seen = WorldView(views := made.views(), made.pods, claims=made.claims, volumes=made.volumes)
        before_batch(seen)
        before_batch(seen)
        remember(made.at_stake)
        made.drained += [node.name for node in views if nodes(node)]
        listen(Progress("batch", 1, 2, 3, [], ""))
        made.instances, made.behind = instances, behind
        if made.act:
            made.act(stop)
        return Report()

    made.views, made.pods, made.rights = nodes, [], []
    made.claims, made.volumes, made.at_stake = [], [], {}
    monkeypatch.setattr(
        draining.aws_rights, "require", lambda _s, arns, *, balancers: made.rights.append((arns, balancers))
    )
    monkeypatch.setattr(draining, "drain", drain)
    return made


def group(world, name):
    return groups.describe(world.session, [name])[name]


def run(world, **changes):
    told = Told()
    draining.drain_version({**world.props, **changes}, told)
    return told


def untouched(world):
    view = group(world, BLUE)
    return (view.min, view.max, view.suspended, world.drained) == (1, 5, (), [])
