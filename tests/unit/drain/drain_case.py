"""A drain told event by event: a few nodes and pods, and what the machine wants done about them."""

from collections import Counter

import msgspec

from pulumi_nodepools.drain.events import Answered, Evict, GuardPassed, Seen, Synced, Tick
from pulumi_nodepools.drain.machine import step
from pulumi_nodepools.drain.model import ControllerView, NodeView, Owner, PodView, Taint
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.state import State
from pulumi_nodepools.names import DRAINING_TAINT, OWNER_ANNOTATION

OWNER = "pool/v1"
WALL = 1_000_000.0


def old_node(name="n", **fields):
    """A node of the drain that is tainted and cordoned already."""
    done = {
        "labels": {"pool": "old"},
        "annotations": {OWNER_ANNOTATION: OWNER},
        "taints": (Taint(DRAINING_TAINT, "PreferNoSchedule"),),
        "unschedulable": True,
    }
    return NodeView(**{"name": name, **done, **fields})


def make_pod(name, node="n", *, owner="rs", kind="ReplicaSet", **fields):
    return PodView(
        **{
            "namespace": "ns",
            "name": name,
            "uid": f"u-{name}",
            "node": node,
            "labels": {"app": owner},
            "owner": Owner(kind, "batch/v1" if kind == "Job" else "apps/v1", owner, owner),
            "started_at": WALL - 3600,
        }
        | fields
    )


def controller(name="rs", desired=1, kind="ReplicaSet"):
    return ControllerView(kind=kind, namespace="ns", name=name, uid=name, desired=desired)


def assert_counted(nodes):
    """What is kept for each piece of news is what counting would say."""
    tracks = nodes.tracks.values()
    assert nodes.pods_left == sum(len(track.left) for track in tracks)
    assert +nodes.phases == Counter(track.phase for track in tracks)


class Case:
    """One drain; `sent` are the evictions of the last step, `said` everything that was told."""

    def __init__(self, *views, behind=None, **settings):
        limits = {"batch_size": "100%", "node_timeout": 60, "total_timeout": 600} | settings
        self.now = 0.0
        self.state = State(
            DrainSettings(**limits),
            OWNER,
            lambda node: node.labels.get("pool") == "old",
            now=0.0,
            wall=WALL,
            behind=behind,
        )
        self.actions, self.said = [], []
        for view in views:
            self.tell(Seen(view))

    def tell(self, event):
        """One event; the actions it leads to."""
        self.actions = step(self.state, event, self.now)
        self.said.extend(self.actions)
        assert_counted(self.state.nodes)
        return self.actions

    def begin(self):
        """Up to the first evictions."""
        self.tell(Synced())
        self.tell(GuardPassed())
        return self.tell(GuardPassed())

    def at(self, now):
        self.now = now
        return self.tell(Tick())

    @property
    def sent(self):
        return [action.name for action in self.actions if isinstance(action, Evict)]

    def answer(self, name, code, **fields):
        return self.tell(Answered(f"u-{name}", code, **fields))


def changed(view, **fields):
    return msgspec.structs.replace(view, **fields)
