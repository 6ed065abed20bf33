"""How many volumes nodes can attach, where pods are placed."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_nodepools.drain.model import ClaimView, CsiNodeView, NodeView, PodView, Resources, VolumeView, WorldView
from pulumi_nodepools.drain.placement import fits
from pulumi_nodepools.drain.storage import Storage

EBS, FSX = "ebs.csi.aws.com", "fsx.csi.aws.com"


def node(name, cpu=10_000):
    return NodeView(name=name, allocatable=Resources(cpu, 2**40, 100))


def pod(name, *claims, node="", cpu=1, **fields):
    return PodView(
        namespace="ns", name=name, uid=name, node=node, claims=claims, requests=Resources(cpu, 1, 1), **fields
    )


def storage(limits, **drivers):
    """A claim and a volume for each name, of these drivers; nodes with these limits."""
    claims = [ClaimView(namespace="ns", name=name, uid=f"c-{name}", volume=f"pv-{name}") for name in drivers]
    volumes = [VolumeView(name=f"pv-{name}", uid=f"v-{name}", driver=driver) for name, driver in drivers.items()]
    nodes = [CsiNodeView(name=name, limits=most) for name, most in limits.items()]
    return Storage.of(WorldView((), (), claims=claims, volumes=volumes, csi_nodes=nodes))


def unplaced(*arguments):
    return [entry.pod.name for entry in fits(*arguments)]


def test_pods_go_where_their_volumes_can_be_attached_and_the_rest_is_named_with_driver_and_limit():
    known = storage({"a": {EBS: 2}, "b": {EBS: 1}}, **dict.fromkeys("1234", EBS))
    left = fits([pod(f"p{name}", name) for name in "1234"], [node("a"), node("b")], known)
    assert [str(entry) for entry in left] == [
        f"ns/p4 (its 1 volume of {EBS} would exceed what each of the 2 nodes that admit it can attach, 2 at most)"
    ]


def test_volumes_of_pods_that_are_there_count_unless_these_have_ended():
    known = storage({"a": {EBS: 1}}, old=EBS, new=EBS)
    mover, here = pod("mover", "new"), pod("here", "old", node="a")
    assert unplaced([mover], [node("a")], known, [here]) == ["mover"]
    assert unplaced([mover], [node("a")], known, [pod("here", "old", node="a", phase="Succeeded")]) == []
    assert unplaced([mover], [node("a")], known, [pod("here", "old", node="elsewhere")]) == []


def test_a_volume_that_several_pods_use_counts_once_on_a_node():
    known = storage({"a": {EBS: 1}}, shared=EBS, own=EBS)
    assert unplaced([pod("p1", "shared"), pod("p2", "shared")], [node("a")], known) == []
    assert unplaced([pod("p1", "shared")], [node("a")], known, [pod("there", "shared", node="a")]) == []
    assert unplaced([pod("p1", "own")], [node("a")], known, [pod("there", "shared", node="a")]) == ["p1"]
    assert unplaced([pod("p1", "own"), pod("p2", "shared")], [node("a")], known, [pod("x", "shared", node="a")]) == [
        "p1"
    ]
    assert unplaced([pod("p1", "own", "own")], [node("a")], known) == [], "mounted twice"


def test_a_full_node_takes_a_pod_that_needs_nothing_new():
    known = storage({"a": {EBS: 1}}, one=EBS, two=EBS)
    there = [pod("x", "one", node="a"), pod("y", "two", node="a")]
    assert unplaced([pod("p", "one"), pod("bare")], [node("a")], known, there) == []


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({}, []),
        ({"a": {}}, []),
        ({"a": {FSX: 0}}, []),
        ({"other": {EBS: 0}}, []),
        ({"a": {EBS: 0}}, ["p"]),
        ({"a": {EBS: 1, FSX: 0}}, []),
    ],
)
def test_only_a_limit_of_the_node_and_the_driver_counts(limits, left):
    assert unplaced([pod("p", "data")], [node("a")], storage(limits, data=EBS)) == left


def test_a_volume_without_a_driver_and_a_claim_without_a_volume_take_no_slot():
    assert unplaced([pod("p", "data", "unbound")], [node("a")], storage({"a": {EBS: 0, "": 0}}, data="")) == []


def test_pods_that_bring_volumes_are_placed_before_larger_ones_without():
    known = storage({"a": {EBS: 0}, "b": {EBS: 1}}, data=EBS)
    movers = [pod("large", cpu=10), pod("small", "data", cpu=5)]
    assert unplaced(movers, [node("b", cpu=10), node("a", cpu=10)], known) == []


def test_what_is_missing_on_some_nodes_is_told_beside_what_is_on_the_others():
    known = storage({"a": {EBS: 0}}, data=EBS)
    (left,) = fits([pod("p", "data", cpu=5)], [node("a"), node("b", cpu=4)], known)
    assert left.reason == (
        "needs 5m CPU and 0 MiB, not free on any of the 2 nodes that admit it, 1 of which can attach no more volumes "
        f"of {EBS}"
    )


def attachable(pods, limits, known):
    """Whether no node's limit is exceeded by what these pods, each with its node, use: counted anew, pod by pod."""
    for name, most in limits.items():
        used = {volume for pod, where in pods if where == name for volume in known.volumes_of(pod)}
        if any(sum(volume.driver == driver for volume in used) > number for driver, number in most.items()):
            return False
    return True


DRIVERS = dict.fromkeys("abcd", EBS) | dict.fromkeys("ef", FSX) | {"g": ""}
CLAIMS = st.lists(st.sampled_from(sorted(DRIVERS)), max_size=3)
LIMITS = st.dictionaries(st.sampled_from([EBS, FSX]), st.integers(0, 3))


@settings(max_examples=400, deadline=None)
@given(
    limits=st.lists(LIMITS, min_size=1, max_size=3),
    movers=st.lists(CLAIMS, max_size=4),
    there=st.lists(st.tuples(CLAIMS, st.integers(0, 2)), max_size=2),
)
def test_what_is_let_through_can_be_attached(limits, movers, there):
    """Against every way to place these pods: a pod is refused only behind others, and none is let through wrongly."""
    names = [f"n{index}" for index in range(len(limits))]
    most = dict(zip(names, limits, strict=True))
    known = storage(most, **DRIVERS)
    pods = [pod(f"p{index}", *claims) for index, claims in enumerate(movers)]
    here = [pod(f"h{index}", *claims, node=f"n{place}") for index, (claims, place) in enumerate(there)]
    begin = [(one, one.node) for one in here if one.node in most]
    most = {name: one for name, one in most.items() if attachable(begin, {name: one}, known)}
    left = unplaced(pods, [node(name) for name in most], known, here)
    begin = [(one, place) for one, place in begin if place in most]

    def possible(chosen):
        ways = product(most, repeat=len(chosen))
        return any(attachable([*begin, *zip(chosen, way, strict=True)], most, known) for way in ways)

    assert possible([one for one in pods if one.name not in left])
    if len(pods) == 1:
        assert possible(pods) is (left == [])


@settings(max_examples=200, deadline=None)
@given(free=st.lists(st.integers(0, 4), min_size=1, max_size=5), number=st.integers(0, 12))
def test_pods_with_a_volume_each_fill_every_slot_and_no_more(free, number):
    known = storage({f"n{i}": {EBS: most} for i, most in enumerate(free)}, **{f"d{i}": EBS for i in range(number)})
    movers = [pod(f"p{i}", f"d{i}") for i in range(number)]
    assert len(fits(movers, [node(f"n{i}") for i in range(len(free))], known)) == max(0, number - sum(free))
