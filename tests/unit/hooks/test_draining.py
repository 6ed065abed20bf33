"""The delete path around the drain: what is refused, frozen and recorded, in which order."""

import json
import re
import threading
from dataclasses import replace

import pytest
from msgspec.structs import replace as replace_fields

from pulumi_nodepools.aws import groups
from pulumi_nodepools.cluster import attach_limits
from pulumi_nodepools.cluster.turns import turn
from pulumi_nodepools.drain.model import ClaimView, Owner, PodView, Resources, VolumeView
from pulumi_nodepools.errors import AccessDeniedError, CapacityError, DrainBlockedError, HeldError
from pulumi_nodepools.hooks import draining
from tests.unit.hooks.draining_case import BLUE, GREEN, Report, Told, group, run, untouched
from tests.unit.hooks.place_case import EBS, attach_at_most


def test_aws_rights_are_asked_for_before_the_first_touch(world, monkeypatch):
    run(world)
    assert world.rights == [([world.blue.arn], True)]
    run(world, drain={"timeout": 60.0, "loadBalancers": "label"})
    assert world.rights[-1] == ([world.blue.arn], False), "nobody is taken out of target groups"

    def refuse(*_args, **_options):
        raise AccessDeniedError("role/x lacks 1 AWS rights")

    world.drained.clear()
    monkeypatch.setattr(draining.aws_rights, "require", refuse)
    with pytest.raises(AccessDeniedError, match="lacks 1 AWS"):
        run(world)
    assert world.drained == []


def test_drains_exactly_its_nodes_frozen_and_records_it(world, tmp_path, monkeypatch):
    monkeypatch.setenv("NODEPOOLS_REPORT_DIR", str(tmp_path))
    seen = []
    world.act = lambda _stop: seen.append((group(world, BLUE), group(world, GREEN), world.record.load()))
    told = run(world)
    assert sorted(world.drained) == sorted(f"node-{one.id}" for one in world.blue.instances)
    ((blue, green, record),) = seen
    assert (blue.min, blue.max, set(blue.suspended)) == (2, 2, set(groups.FROZEN_PROCESSES))
    assert (green.min, green.max, green.suspended) == (2, 9, ())
    assert record.frozen[BLUE].max == 5
    assert record.phase == "drain v1: batch 1"
    after = world.record.load()
    assert (after.phase, after.serving, set(after.frozen)) == ("drained v1", "v2", {BLUE})
    assert group(world, GREEN).min == 1
    assert "1/2 nodes, 3 pods left; batch of worker v1" in told.lines
    (report,) = tmp_path.iterdir()
    assert json.loads(report.read_text())["version"] == "v1"


def test_the_serving_version_is_refused(world):
    world.record.update(lambda now: replace(now, serving="v1"))
    with pytest.raises(CapacityError, match="is the version that serves"):
        run(world)
    assert untouched(world)


def test_a_green_that_is_not_ready_is_refused_before_the_freeze(world):
    world.green_ready = False
    with pytest.raises(CapacityError, match="has 0 ready and schedulable nodes, but 2"):
        run(world)
    assert untouched(world)


def test_what_never_clears_is_told_and_its_own_runner_is_refused_before_the_freeze(world, monkeypatch):
    node = f"node-{world.blue.instances[0].id}"
    world.pods = [PodView(namespace="shop", name="bare", uid="u", node=node)]
    monkeypatch.setenv("NODE_NAME", node)
    with pytest.raises(DrainBlockedError, match=f"runs on node {node}") as caught:
        run(world)
    assert untouched(world)
    assert [one.reason for one in caught.value.diagnosis] == ["own-runner"]
    monkeypatch.delenv("NODE_NAME")
    told = run(world)
    assert any("never: pod shop/bare" in line for line in told.lines)
    assert len(world.drained) == 2


@pytest.fixture
def stateful(world):
    """A pod with a volume on a node that is to go, and room for it on the others."""
    node, owner = f"node-{world.blue.instances[0].id}", Owner("StatefulSet", "apps/v1", "db", "ss")
    world.pods = [PodView(namespace="shop", name="db-0", uid="u", node=node, claims=("data",), owner=owner)]
    world.claims = [ClaimView(namespace="shop", name="data", uid="c", volume="pv-data")]
    world.volumes = [VolumeView(name="pv-data", uid="v", driver=EBS)]
    views = world.views
    world.views = lambda: [replace_fields(view, allocatable=Resources(1, 1, 9)) for view in views()]
    return world


def test_nodes_that_cannot_attach_the_volumes_are_refused_before_the_freeze(stateful):
    attach_at_most(stateful.cluster, ("green-0", "green-1"), 0)
    with pytest.raises(
        CapacityError, match=rf"shop/db-0 \(its 1 volume of {EBS} would exceed .* the 2 nodes .* 0 at most"
    ):
        run(stateful)
    assert untouched(stateful)


def test_who_may_not_see_what_nodes_can_attach_drains_and_says_so_once(stateful, monkeypatch):
    def refuse(_client):
        raise AccessDeniedError("list csinodes: 403")

    monkeypatch.setattr(attach_limits, "_look", refuse)
    told = [line for line in run(stateful).lines if "csinodes" in line]
    assert len(told) == 1
    assert told[0].startswith("worker v1: whether nodes can attach")
    assert len(stateful.drained) == 2


def test_missing_rights_are_refused_before_anything_else(world):
    world.cluster.denied = frozenset({"create pods/eviction"})
    with pytest.raises(AccessDeniedError, match=r"lack 1 of .* create pods/eviction"):
        run(world)
    assert untouched(world)


def test_a_drain_that_stops_keeps_the_freeze_and_the_report(world, tmp_path, monkeypatch):
    monkeypatch.setenv("NODEPOOLS_REPORT_DIR", str(tmp_path))

    def blocked(_stop):
        error = DrainBlockedError("shop/web is blocked")
        error.report = Report()
        raise error

    world.act = blocked
    with pytest.raises(DrainBlockedError):
        run(world)
    assert group(world, BLUE).max == 2
    assert world.record.load().phase == "drain v1: batch 1"
    assert len(list(tmp_path.iterdir())) == 1
    world.act = None
    run(world)
    assert world.record.load().frozen[BLUE].max == 5


def test_whom_a_bad_batch_leaves_behind_the_next_run_is_told_until_the_drain_ends(world):
    def bad(_stop):
        error = DrainBlockedError("batch 1 is bad")
        error.report = Report(rs=3)
        raise error

    world.record.update(lambda now: replace(now, behind={"v0": {"other": 1}}))
    world.act = bad
    for known in (None, {"rs": 3}):
        with pytest.raises(DrainBlockedError):
            run(world)
        assert world.behind == known
        assert world.record.load().behind == {"v0": {"other": 1}, "v1": {"rs": 3}}
    world.act = None
    run(world)
    assert world.record.load().behind == {"v0": {"other": 1}}


def test_a_run_that_dies_in_a_batch_has_told_the_next_one_whom_it_may_leave_behind(world):
    class Killed(BaseException):
        pass

    def die(_stop):
        raise Killed

    world.act, world.at_stake = die, {"rs": 3, "ss": 1}
    with pytest.raises(Killed):
        run(world)
    record = world.record.load()
    assert (record.phase, record.behind) == ("drain v1: batch 1", {"v1": {"rs": 3, "ss": 1}})
    world.act, world.at_stake = None, {}
    run(world)
    assert world.behind == {"rs": 3, "ss": 1}
    assert world.record.load().behind == {}


@pytest.mark.parametrize("lease", ["nodepools-worker", "nodepools.drain"])
def test_a_lost_lease_is_named_as_the_reason(world, lease):
    """The pool's, and the cluster's turn to drain."""

    def steal(stop: threading.Event):
        path = f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{lease}"
        stored = world.cluster.get(path)
        stored["spec"]["holderIdentity"] = "thief"
        world.cluster.replace(path, stored)
        assert stop.wait(30)
        raise DrainBlockedError("it was told to stop")

    world.act = steal
    with pytest.raises(HeldError, match=rf"{re.escape(lease)} was taken by thief"):
        run(world)


def test_an_api_server_that_refuses_everything_once_holds_up_no_drain(world, flaky):
    flaky()
    run(world)
    world.cluster.flaky = False
    assert world.drained == [f"node-{one.id}" for one in world.blue.instances]
    assert world.record.load().phase == "drained v1"
    assert world.record.holder() == ""


def test_it_waits_for_the_drain_of_another_pool_with_nothing_touched_and_says_so(world):
    waiting, told = threading.Event(), Told()
    told.status = told.info = told.warn = lambda _urn, line: (
        told.lines.append(line),
        "waits" in line and waiting.set(),
    )
    drain = threading.Thread(target=draining.drain_version, args=(world.props, told))
    with turn(world.cluster, "other 7.6", stop=threading.Event(), limit=60, waits=lambda _other: None):
        drain.start()
        assert waiting.wait(60)
        assert untouched(world)
    drain.join(60)
    assert "worker v1: waits for the drain of other 7.6: one drain at a time runs in a cluster" in told.lines
    assert len(world.drained) == 2


def test_the_drain_is_given_the_command_of_the_batch_gate(world, monkeypatch):
    given = []
    monkeypatch.setattr(
        draining, "command_of", lambda settings, *pool: given.append((settings.batch_gate.command, *pool))
    )
    run(world, drain={"batchGate": {"command": ["./check"]}})
    assert given == [(("./check",), "worker", "v1")]
