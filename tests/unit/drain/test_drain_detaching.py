"""Between an empty node and a drained one: the volumes of the pods that were moved have to be off it."""

import pytest
from drain_case import Case, changed, make_pod, old_node
from hypothesis import given
from hypothesis import strategies as st

from pulumi_nodepools.drain.events import Answered, Finish, Gone, GuardPassed, LabelNode, Patched, Relisted, Seen
from pulumi_nodepools.drain.model import AttachmentView, ClaimView, ControllerView, VolumeView
from pulumi_nodepools.drain.report import make_report


def bound(name):
    """A claim `name` bound to the volume `pv-name`."""
    claim = ClaimView(namespace="ns", name=name, uid=f"c-{name}", volume=f"pv-{name}")
    return claim, VolumeView(name=f"pv-{name}", uid=f"v-{name}")


def attached(name, node="n", **fields):
    return AttachmentView(**{"name": f"csi-{name}", "uid": f"a-{name}", "node": node, "volume": f"pv-{name}"} | fields)


def emptied(*views, **settings):
    """A drain whose only movable pod, with the claim `data`, has just left the node."""
    case = Case(old_node(), make_pod("p", claims=("data",)), *bound("data"), *views, **settings)
    case.begin()
    case.at(3.0)
    case.answer("p", 201)
    case.tell(Gone("pods", "u-p"))
    return case


def phase(case):
    return case.state.nodes.tracks["n"].phase


def reasons(case):
    return {(entry.reason, entry.object) for entry in case.state.blocked(case.now)}


def test_a_node_is_drained_only_when_its_volumes_are_off_it():
    case = emptied(attached("data", trouble="device is busy"))
    assert phase(case) == "active"
    (entry,) = (entry for entry in case.state.blocked(4.0) if entry.reason == "stuck-volume")
    assert (entry.object, entry.node) == ("volume pv-data", "n")
    assert "device is busy" in entry.message
    case.now = 9.0
    case.tell(Gone("attachments", "a-data"))
    assert phase(case) == "done"
    (node,) = make_report(case.state, 9.0, events=[], api_calls={}).to_json()["nodes"].values()
    assert node["detach"] == {"start": 3.0, "end": 9.0}
    assert node["evict"]["end"] == 3.0


def test_nothing_attached_is_not_waited_for():
    case = emptied()
    assert phase(case) == "done"
    (node,) = make_report(case.state, 9.0, events=[], api_calls={}).to_json()["nodes"].values()
    assert node["detach"] == {"start": None, "end": None}


@pytest.mark.parametrize(
    "attachment",
    [
        attached("data", node="other"),
        attached("data", volume=""),
        attached("ghost"),
        attached("log"),
    ],
    ids=["another node's", "without a volume", "its volume is no more", "of a DaemonSet's pod"],
)
def test_what_is_not_waited_for(attachment):
    daemon = ControllerView(kind="DaemonSet", namespace="ns", name="ds", uid="ds")
    case = emptied(daemon, make_pod("log", owner="ds", kind="DaemonSet", claims=("log",)), *bound("log"), attachment)
    assert phase(case) == "done"


def test_the_volume_of_a_pod_that_left_before_this_run_is_waited_for():
    """A drain that was killed while a volume was going knows its pod no more."""
    case = Case(old_node(), *bound("data"), attached("data"))
    case.begin()
    case.at(3.0)
    assert phase(case) == "active"
    case.tell(Relisted("attachments", frozenset()))
    assert phase(case) == "done"


def test_its_timeout_counts_from_the_empty_node_and_names_the_volume():
    case = emptied(attached("data"), node_timeout=5, detach_timeout=100)
    case.at(102.9)
    assert case.state.finish is None, "the timeout of the pods is over, that of the volumes is not"
    case.at(103.0)
    assert case.state.finish.outcome == "blocked"
    assert "volumes are still attached to n, 100 s after its last pod had gone" in case.state.finish.message
    assert [entry.reason for entry in case.state.finish.diagnoses] == ["stuck-volume"]


def test_skip_leaves_the_node_out():
    case = emptied(attached("data"), detach_timeout=100, on_timeout="skip")
    case.at(103.0)
    assert phase(case) == "skipped"
    assert LabelNode("n", quarantined=True) in case.actions
    case.tell(Patched("n", "label", 200))
    assert case.state.finish.outcome == "blocked"


def test_force_goes_on_without_them_and_says_so():
    case = emptied(attached("data"), detach_timeout=100, on_timeout="force")
    case.at(103.0)
    case.at(103.1)
    assert case.state.finish == Finish("drained", "1 nodes are drained")
    assert [say.kind for say in case.said if getattr(say, "kind", "").startswith("volumes")] == ["volumes-left"]


def test_a_pod_that_comes_back_is_moved_first_and_the_clock_begins_anew():
    case = emptied(attached("data"), detach_timeout=100)
    case.now = 90.0
    case.tell(Seen(make_pod("q", claims=("data",))))
    assert case.sent == ["q"]
    case.tell(Answered("u-q", 201))
    case.now = 95.0
    case.tell(Gone("pods", "u-q"))
    case.at(150.0)
    assert (phase(case), case.state.finish) == ("active", None)


@given(
    steps=st.lists(
        st.sampled_from(["attach", "detach", "relist", "pod", "pod gone", "volume gone", "volume", "time"]), max_size=25
    )
)
def test_never_done_while_a_moved_pods_volume_is_attached(steps):
    case = emptied(attached("data"), detach_timeout=10_000, node_timeout=10_000, total_timeout=100_000)
    _claim, volume = bound("data")
    events = {
        "attach": Seen(attached("data")),
        "detach": Gone("attachments", "a-data"),
        "relist": Relisted("attachments", frozenset({"a-data"})),
        "pod": Seen(changed(make_pod("q", claims=("data",)), deleted_at=1_000_030.0)),
        "pod gone": Gone("pods", "u-q"),
        "volume gone": Gone("volumes", volume.uid),
        "volume": Seen(volume),
    }
    held, exists, here = True, True, False
    assert phase(case) == "active"
    for step in steps:
        if case.state.finish:
            break
        case.now += 1.0
        before = phase(case)
        if step == "time":
            case.at(case.now + 3.0)
        else:
            case.tell(events[step])
        held = {"attach": True, "detach": False}.get(step, held)
        exists = {"volume": True, "volume gone": False}.get(step, exists)
        here = {"pod": True, "pod gone": False}.get(step, here)
        if before == "active" and phase(case) == "done":
            assert not (held and exists)
            assert not here
        if case.state.phase == "guard":
            case.tell(GuardPassed())
