"""What one sees of a drain that another process runs, ran, or was killed in."""

import io
from collections import Counter
from dataclasses import replace

import pytest
from rich.console import Console

from pulumi_nodepools import watched
from pulumi_nodepools.cli import watching
from pulumi_nodepools.cluster.lease import LEASES, Pulse, holder_identity
from pulumi_nodepools.cluster.noting import Noter
from pulumi_nodepools.cluster.record import CONFIG_MAPS, PoolRecord, Record
from pulumi_nodepools.drain.model import Diagnosis, NodeProgress, NodeView, PodView, Progress, Taint
from pulumi_nodepools.drain.note import SCHEMA, note_of, read
from pulumi_nodepools.errors import ClusterUnreachableError
from tests.unit.memory_cluster import MemoryCluster

OWNER = "worker/v1"
HELD = Diagnosis("pdb-exhausted", "pod shop/web", "old-1", "needs 4", "wait", since=90.0)
NODES = (NodeProgress("old-1", "active", 3),)
DRAINING = Progress("batch", 1, 3, 5, [HELD], "", lambda: NODES, floor=3, working=60.0)


def node(name, version, *, drained=False, ready=True):
    marks = {"annotations": {"nodepools.dev/cordoned-by": OWNER}, "unschedulable": True} if drained else {}
    taints = (Taint(key="nodepools.dev/draining", effect="PreferNoSchedule"),) if drained else ()
    labels = {"nodepools.dev/pool": "worker", "nodepools.dev/version": version}
    return NodeView(name=name, labels=labels, ready=ready, taints=taints, **marks)


OLD = [node(f"old-{n}", "v1", drained=True) for n in range(3)]
NEW = [node(f"new-{n}", "v2", ready=n > 0) for n in range(3)]
LEFT = Counter({"old-1": 3, "old-2": 2})


def run(*, alive=True, **changes):
    return watched.Run("worker", replace_note(note_of(DRAINING, OWNER, "host-1-1-x", 100.0), **changes), alive)


def replace_note(note, **changes):
    return read(note.to_json() | changes)


def phases(progress):
    return {one.name: one.phase for one in progress.nodes()}


def test_nodes_and_capacity_are_the_cluster_s_and_the_reasons_the_run_s():
    seen = watched.progress(run(), [*OLD, *NEW], LEFT, None)
    assert phases(seen) == {
        "old-0": "done",
        "old-1": "active",
        "old-2": "waiting",
        **dict.fromkeys(("new-0", "new-1", "new-2"), "stays"),
    }
    assert (seen.phase, seen.nodes_done, seen.nodes_total, seen.pods_left) == ("batch", 1, 3, 5)
    assert (seen.capacity.blue, seen.capacity.green, seen.floor) == (0, 2, 3)
    assert [(one.object, one.since) for one in seen.blocked] == [("pod shop/web", 90.0)]


def test_a_run_that_died_moves_nothing_and_holds_only_what_is_still_there():
    dead = run(alive=False)
    seen = watched.progress(dead, [*OLD, *NEW], LEFT, None)
    assert "died" in seen.phase
    assert phases(seen)["old-1"] == "waiting"
    assert len(seen.blocked) == 1
    assert watched.progress(dead, [*OLD, *NEW], Counter({"old-2": 2}), None).blocked == []


def test_nodes_that_have_gone_are_shown_by_whoever_saw_them_and_counted_by_all():
    before = watched.progress(run(), [*OLD, *NEW], LEFT, None)
    after = watched.progress(run(), [*OLD[1:], *NEW[1:]], LEFT, before)
    assert phases(after)["old-0"] == "gone"
    assert "new-0" not in phases(after), "it stayed, and is no part of the drain"
    late = watched.progress(run(), [*OLD[1:], *NEW], LEFT, None)
    assert (after.nodes_done, after.nodes_total) == (late.nodes_done, late.nodes_total) == (1, 3)


def test_a_drain_is_under_way_until_it_is_done_or_taken_back():
    assert watched.in_progress(run(), OLD)
    assert watched.in_progress(run(alive=False), OLD)
    assert watched.in_progress(run(alive=False, outcome="blocked"), OLD)
    assert not watched.in_progress(run(alive=False, outcome="blocked"), NEW), "its nodes were uncordoned since"
    assert not watched.in_progress(run(alive=False, outcome="drained"), OLD)
    assert not watched.in_progress(watched.Run("worker", None, alive=False), OLD)


def test_nodes_without_a_pool_are_known_by_whoever_cordoned_them():
    bare = NodeView(name="n1", annotations={"nodepools.dev/cordoned-by": "manual/drain"}, unschedulable=True)
    by_hand = replace(run(owner="manual/drain"), pool="unmanaged")
    seen = watched.progress(by_hand, [bare, NodeView(name="n2")], Counter(), None)
    assert phases(seen) == {"n1": "waiting"}, "it carries no taint yet"


def test_only_pods_that_a_drain_moves_are_counted():
    mirror = PodView(namespace="a", name="m", uid="1", node="n", notes={"kubernetes.io/config.mirror": "x"})
    pods = [mirror, PodView(namespace="a", name="p", uid="2", node="n"), PodView(namespace="a", name="q", uid="3")]
    assert watched.pods_left(pods, 0.0) == {"n": 1}


def test_a_note_comes_back_and_its_size_is_bounded():
    many = [replace(HELD, object=f"pod a/{n}", message="m" * 5000, fix="f" * 5000) for n in range(500)]
    nodes = tuple(NodeProgress(f"ip-172-31-{n}.us-west-2.compute.internal", "active", 3) for n in range(5000))
    note = note_of(replace(DRAINING, blocked=many, nodes=lambda: nodes), OWNER, "h", 100.0)
    assert read(note.to_json()) == note
    assert (len(note.blocked), note.blocked_in_all, len(note.active)) == (10, 500, 50)
    record = Record("worker", progress=note.to_json())
    assert len(record.to_json()) < 16_000
    assert Record.from_json("worker", record.to_json()) == record


@pytest.mark.parametrize(
    "written",
    [
        {},
        note_of(DRAINING, OWNER, "h", 1.0).to_json() | {"schema": SCHEMA + 1},
        {"owner": 7},
        {"schema": 1, "owner": "worker/v1"},
        {"nodesDone": "many"},
    ],
)
def test_a_note_that_cannot_be_read_is_none_and_hinders_no_record(written):
    text = Record("worker", serving="v2", progress=written).to_json()
    record = Record.from_json("worker", text)
    assert (record.serving, read(record.progress)) == ("v2", None)


def test_a_record_of_a_release_without_notes_is_read():
    old = '{"schema": 1, "pool": "worker", "serving": "v1", "phase": "drained v0"}'
    record = Record.from_json("worker", old)
    assert (record.serving, read(record.progress)) == ("v1", None)
    cluster = MemoryCluster()
    PoolRecord(cluster, "worker").update(lambda _now: record)
    assert watching.Watching(cluster).look().drains == {}


def noted(cluster):
    return read(PoolRecord(cluster, "worker").load().progress)


def noter_of(cluster):
    return Noter([PoolRecord(cluster, "worker")], OWNER, beat=0.0)


def test_notes_are_written_only_when_something_has_changed():
    cluster = MemoryCluster()
    noter = noter_of(cluster)
    noter.saw(DRAINING)
    noter.write()
    assert noted(cluster).pods_left == 5
    writes = cluster._version
    for working in range(5):
        noter.saw(replace(DRAINING, working=float(working)))
        noter.write()
    assert cluster._version == writes, "only the clock had moved on"
    noter.saw(replace(DRAINING, pods_left=4))
    noter.write()
    assert noted(cluster).pods_left == 4


def test_how_it_ended_is_noted_before_the_drain_returns():
    cluster = MemoryCluster()
    noter = Noter([PoolRecord(cluster, "worker")], OWNER)
    noter.start()
    noter.saw(DRAINING)
    noter.saw(replace(DRAINING, pods_left=0))
    noter.ended("drained")
    noter.close()
    assert (noted(cluster).outcome, noted(cluster).pods_left) == ("drained", 0)
    assert noted(cluster).holder == holder_identity()


def test_a_drain_goes_on_without_notes_where_they_cannot_be_written():
    cluster = MemoryCluster()
    cluster.create(CONFIG_MAPS, {"metadata": {"name": "nodepools-worker"}, "data": {"record.json": "[]"}})
    noter = noter_of(cluster)
    noter.saw(DRAINING)
    noter.write()
    assert cluster._version == 1


def test_a_drain_that_changed_nothing_leaves_no_note():
    cluster = MemoryCluster()
    noter = noter_of(cluster)
    for phase in ("sync", "guard"):
        noter.saw(replace(DRAINING, phase=phase))
    noter.ended("failed")
    noter.write()
    assert not cluster.objects


def test_the_note_of_the_run_that_took_over_stays():
    cluster = MemoryCluster()
    noter = noter_of(cluster)
    noter.saw(DRAINING)
    noter.write()
    other = note_of(DRAINING, OWNER, "other-host-1", 100.0).to_json()
    PoolRecord(cluster, "worker").update(lambda now: replace(now, progress=other))
    noter.ended("failed")
    noter.write()
    assert noted(cluster).holder == "other-host-1"


def test_a_holder_that_renews_lives_and_one_that_stands_still_does_not():
    pulse = Pulse()
    assert pulse.beats("elsewhere-9-9-abc", "t1", 0.0)
    assert pulse.beats("elsewhere-9-9-abc", "t1", 15.0)
    assert not pulse.beats("elsewhere-9-9-abc", "t1", 15.1)
    assert pulse.beats("elsewhere-9-9-abc", "t2", 40.0)
    assert not pulse.beats("", "t2", 40.0)


@pytest.fixture
def drained():
    """A cluster in which this very process drains a pool of two."""
    cluster = MemoryCluster()
    for name, version in (("old-1", "v1"), ("old-2", "v1"), ("new-1", "v2")):
        spec = {"unschedulable": True} if version == "v1" else {}
        cluster.add_node(name, f"i-{name}", pool="worker", version=version, **spec)
    note = note_of(DRAINING, OWNER, holder_identity(), 100.0).to_json()
    PoolRecord(cluster, "worker").update(lambda now: replace(now, serving="v2", progress=note))
    spec = {"holderIdentity": holder_identity(), "renewTime": "t1"}
    cluster.create(LEASES, {"metadata": {"name": "nodepools-worker"}, "spec": spec})
    return cluster


def test_plain_lines_come_only_when_something_changed_and_survive_a_silent_cluster(drained, capsys):
    def silent():
        drained.down = True

    def back():
        drained.down = False
        PoolRecord(drained, "worker").update(lambda now: replace(now, progress={**now.progress, "outcome": "drained"}))
        drained.objects[f"{LEASES}/nodepools-worker"]["spec"]["holderIdentity"] = ""

    steps = iter([lambda: None, silent, back])

    def wait(_seconds):
        step = next(steps, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    last = watching.follow(drained, wait=wait)
    assert last["pools"][0]["drain"]["outcome"] == "drained"
    first, again, ended = capsys.readouterr().out.split("\n\nPOOL")
    assert first.splitlines()[-2:] == [
        "drain of worker/v1: 1 blocked: pod shop/web pdb-exhausted; 1/3 nodes, 0 pods left; batch",
        "  pod shop/web on old-1: pdb-exhausted: needs 4. Fix: wait",
    ]
    assert again.splitlines()[-1].startswith("as it was before: ")
    assert "drain of worker/v1: 1/3 nodes, 0 pods left; drained" in ended, "its end is shown to whoever saw it run"


def test_a_cluster_that_never_answers_is_an_error(drained):
    drained.down = True
    with pytest.raises(ClusterUnreachableError):
        watching.follow(drained, wait=lambda _seconds: None)


def test_the_drain_that_runs_comes_first_and_others_keep_to_a_line(drained):
    cluster_note = note_of(DRAINING, "apart/v1", "elsewhere-1", 100.0).to_json() | {"outcome": "blocked"}
    drained.add_node("a-1", "i-a-1", pool="apart", version="v1", unschedulable=True)
    drained.objects["/api/v1/nodes/a-1"]["metadata"]["annotations"] = {"nodepools.dev/cordoned-by": "apart/v1"}
    PoolRecord(drained, "apart").update(lambda now: replace(now, progress=cluster_note))
    sight = watching.Watching(drained).look()
    assert list(sight.drains) == ["drain of worker/v1", "drain of apart/v1"]
    console = Console(file=io.StringIO(), width=80, height=24, color_system=None)
    console.print(watching.drawn(sight, console, 350.0))
    lines = console.file.getvalue().splitlines()
    assert (max(map(len, lines)) <= 80, len(lines) <= 23) == (True, True), "\n".join(lines)
    assert lines[0].startswith("POOL")
    assert any(line.startswith("pod shop/web on old-1, for 4 min 20 s: pdb-exhausted") for line in lines)
    assert lines[-1].startswith("drain of apart/v1: 2/3 nodes, 0 pods left; blocked")


def test_without_a_drain_the_nodes_of_all_pools_are_shown():
    cluster = MemoryCluster()
    for number in range(40):
        cluster.add_node(f"n-{number:02}", f"i-{number}", pool="worker", version="v1", ready=number > 0)
    console = Console(file=io.StringIO(), width=80, height=24, color_system=None)
    console.print(watching.drawn(watching.Watching(cluster).look(), console, 0.0))
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert ["n-00", "worker/v1", "not", "ready"] in lines
    assert lines[-1][0] == "and"
    assert len(lines) <= 23
