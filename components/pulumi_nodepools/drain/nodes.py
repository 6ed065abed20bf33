"""The nodes of one drain: which are ours, how far each is, what is left on it. Mutable, no clock, no decisions."""

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pulumi_nodepools.drain.classify import Verdict, classify, tier_of
from pulumi_nodepools.drain.model import NodeView, PodView
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.world import World
from pulumi_nodepools.names import DRAINING_TAINT, OWNER_ANNOTATION, RELEASED_ANNOTATION

SETTLE = 2.0
"""The scheduler may bind a pod just after the cordon: a node counts as empty only this long after it was seen."""
_OWNER_KNOWN = 60.0
"""So long after a pod's start its owner must have been seen, if there is one."""
MAX_RETURNS = 3
"""So many new pods of one controller on a cordoned node, and it is a loop, not a race."""


@dataclass(slots=True)
class NodeTrack:
    """One node's way through the drain."""

    name: str
    uid: str = ""
    """Of the Node: addresses, and names made of them, are given again."""
    phase: str = "waiting"
    """waiting, active, done, gone, or skipped (its time ran out and it was left out)"""
    asked: dict[str, float] = field(default_factory=dict)
    """When each step that it lacks may be asked for again."""
    failures: int = 0
    trouble: str = ""
    """Why the last patch failed."""
    cordon_asked: float | None = None
    cordoned: float | None = None
    started: float | None = None
    ended: float | None = None
    leaving: float | None = None
    """Since when it is being taken out of its load balancers."""
    left_balancers: float | None = None
    buried: bool = False
    """Its machine is no more, although its object still is."""
    closed: bool = False
    """It still gets traffic: none of its pods is due."""
    waits_for: tuple[str, ...] = ()
    """What still sends it traffic."""
    allowance: float = 0.0
    emptied: float | None = None
    """Since when it has been empty and waits for its volumes to be detached."""
    gave_up_volumes: bool = False
    until: float | None = None
    """When an overdue node is looked at again."""
    forced_end: float = 0.0
    """When what was deleted by force has to be gone."""
    forced_at: float | None = None
    """When a pod that a budget guards was last deleted by force."""
    left: dict[str, Verdict] = field(default_factory=dict)
    """Pods that still have to go, with their verdicts."""
    ignored: dict[str, str] = field(default_factory=dict)
    returns: Counter[str] = field(default_factory=Counter)
    tiers: Counter[int] = field(default_factory=Counter)
    """How many pods are left of each tier."""

    @property
    def tier(self) -> int:
        """The tier whose turn it is."""
        return min((tier for tier, number in self.tiers.items() if number), default=0)

    def due(self, uid: str) -> bool:
        """Whether it is a pod's turn, as far as its own node is concerned."""
        verdict = self.left.get(uid)
        return not self.closed and verdict is not None and verdict.action == "evict" and verdict.tier <= self.tier

    def put(self, uid: str, verdict: Verdict) -> None:
        """A pod is left on the node."""
        self.drop(uid)
        self.left[uid] = verdict
        self.tiers[verdict.tier] += 1

    def drop(self, uid: str) -> None:
        """A pod is not left on the node any more."""
        verdict = self.left.pop(uid, None)
        if verdict:
            self.tiers[verdict.tier] -= 1


class Nodes:
    """Our nodes with the pods that are left on them."""

    def __init__(self, world: World, settings: DrainSettings, owner: str, matches: Callable[[NodeView], bool]) -> None:
        self.tracks: dict[str, NodeTrack] = {}
        self.pods_left = 0
        """On all of them together. Kept, as `phases` is: summing up for each piece of news would be quadratic."""
        self.phases: Counter[str] = Counter()
        """How many nodes are in each phase."""
        self.active: dict[str, NodeTrack] = {}
        self.leaving: dict[str, None] = {}
        """Active nodes that still get traffic from load balancers."""
        self.lacking: dict[str, None] = {}
        """Nodes that still need a taint or a cordon, or one taken off that they had."""
        self.untainted: dict[str, None] = {}
        """Those of them that need the taint first."""
        self.look: dict[str, None] = {}
        """Those of them for which something may be asked now: looking at all on each event would be quadratic."""
        self.unready: dict[str, None] = {}
        """Our nodes that are not ready."""
        self._retries: list[tuple[float, str]] = []
        self.emptied: dict[str, None] = {}
        """Active nodes on which nothing is left, perhaps not for long enough yet."""
        self.owner = owner
        self._world = world
        self._settings = settings
        self._matches = matches

    def seen(self, node: NodeView, now: float) -> NodeTrack | None:
        """A node as it is now; its track if it is ours."""
        track = self._track(node)
        if track is None:
            return None
        self._settle(node.name)
        step = self.lacks(node)
        if step:
            self.lacking[node.name] = self.look[node.name] = None
        if step == "taint":
            self.untainted[node.name] = None
        if node.unschedulable and track.cordoned is None:
            track.cordoned = now
        elif not node.unschedulable:
            track.cordoned = None
        return track

    def present(self, name: str) -> NodeView | None:
        """Our node of that name, unless it is gone or the name is another's by now."""
        track, node = self.tracks.get(name), self._world.nodes.get(name)
        return node if track and node and node.uid == track.uid else None

    def _track(self, node: NodeView) -> NodeTrack | None:
        track = self.tracks.get(node.name)
        if track is None or track.uid != node.uid:
            if not self._matches(node):
                return None
            self._forget_track(track)
            track = self.tracks[node.name] = NodeTrack(node.name, node.uid)
            self.phases[track.phase] += 1
        self._note_ready(node)
        if track.phase == "gone":
            if track.buried and not node.ready:
                return None
            self._enter(track, "waiting")
            track.cordoned = None
        return track

    def _forget_track(self, track: NodeTrack | None) -> None:
        """Another node has its name by now."""
        if track:
            self.pods_left -= len(track.left)
            self.phases[track.phase] -= 1

    def _note_ready(self, node: NodeView) -> None:
        if node.ready:
            self.unready.pop(node.name, None)
        else:
            self.unready[node.name] = None

    def gone(self, name: str, now: float) -> NodeTrack | None:
        """The node object is no more: what was left on it is not ours to move."""
        track = self.tracks.get(name)
        if track:
            self._settle(name)
            self.pods_left -= len(track.left)
            track.left.clear()
            track.tiers.clear()
            self.end(track, "gone", now)
        return track

    def bury(self, name: str, now: float) -> None:
        """The machine behind the node is no more, although its object still is; it comes back if it is ready again."""
        self.tracks[name].buried = True
        self.gone(name, now)

    def _settle(self, name: str) -> None:
        for entry in (self.lacking, self.untainted, self.look):
            entry.pop(name, None)

    def ask_again(self, name: str, when: float) -> None:
        """Look at a node again then, if it still lacks something."""
        heapq.heappush(self._retries, (when, name))

    def to_ask(self, now: float) -> list[str]:
        """The nodes for which something may have to be asked."""
        while self._retries and self._retries[0][0] <= now:
            _, name = heapq.heappop(self._retries)
            if name in self.lacking:
                self.look[name] = None
        return list(self.look)

    def begin(self, track: NodeTrack, now: float) -> None:
        """From now on the node's pods are evicted."""
        self._enter(track, "active")
        track.started, track.ended, track.until = now, None, None
        track.forced_end = 0.0
        track.emptied, track.gave_up_volumes = None, False
        self.active[track.name] = track
        if not track.left:
            self.emptied[track.name] = None

    def end(self, track: NodeTrack, phase: str, now: float) -> None:
        """The node is `done` or `gone`."""
        self._enter(track, phase)
        track.ended = now if track.ended is None else track.ended
        self.active.pop(track.name, None)
        self.emptied.pop(track.name, None)
        self.leaving.pop(track.name, None)

    def _enter(self, track: NodeTrack, phase: str) -> None:
        self.phases[track.phase] -= 1
        self.phases[phase] += 1
        track.phase = phase

    def judge(self, pod: PodView, wall: float, *, fresh: bool) -> tuple[NodeTrack | None, Verdict | None]:
        """Put a pod where it belongs on its node; `fresh` if it was not known before. None if it is not on ours."""
        track = self.tracks.get(pod.node)
        if track is None or track.phase == "gone":
            return None, None  # what a vanished node leaves behind is for the garbage collector
        verdict = self._verdict(pod, wall)
        if verdict.action == "evict" and pod.owner:
            track.returns[pod.owner.uid] += fresh and track.cordoned is not None
            if track.returns[pod.owner.uid] > MAX_RETURNS:
                verdict = Verdict("block", "returns-to-node")
        tier = tier_of(pod, self._settings)
        if tier:
            verdict = Verdict(verdict.action, verdict.reason, tier)
        if verdict.action == "ignore":
            track.ignored[pod.uid] = verdict.reason
            self._left(track, pod.uid)
        else:
            track.ignored.pop(pod.uid, None)
            self.pods_left += pod.uid not in track.left
            track.put(pod.uid, verdict)
            self.emptied.pop(track.name, None)
        return track, verdict

    def _verdict(self, pod: PodView, wall: float) -> Verdict:
        verdict = classify(pod, self._settings, wall)
        if verdict.reason != "daemonset" or pod.owner is None or pod.owner.uid in self._world.controllers:
            return verdict
        # Its DaemonSet is gone. One that has just started may only be ahead of the watch that tells of its owner.
        if pod.started_at is None or wall < pod.started_at + _OWNER_KNOWN:
            return verdict
        return Verdict("wait", "terminating") if pod.terminating else Verdict("evict", "orphan")

    def _left(self, track: NodeTrack, uid: str) -> None:
        self.pods_left -= uid in track.left
        track.drop(uid)
        if not track.left and track.phase == "active":
            self.emptied[track.name] = None

    def tier(self, name: str) -> int:
        """The tier whose turn it is on a node."""
        track = self.tracks.get(name)
        return track.tier if track else 0

    def forget(self, pod: PodView) -> NodeTrack | None:
        """The pod is no more on its node."""
        track = self.tracks.get(pod.node)
        if track:
            self._left(track, pod.uid)
        return track

    def step_due(self, track: NodeTrack, now: float) -> str:
        """What the node lacks (`restore`, `taint`, `cordon`) if it was not just asked for; else nothing."""
        node = self.present(track.name)
        if node is None or track.phase == "gone":
            return ""
        step = self.lacks(node)
        return step if step and track.asked.get(step, 0.0) <= now else ""

    def lacks(self, node: NodeView) -> str:
        """What a node still needs. One that somebody else cordoned is as it should be, and stays theirs."""
        if node.ready and RELEASED_ANNOTATION in node.annotations:
            return "restore"
        if node.unschedulable and node.annotations.get(OWNER_ANNOTATION) != self.owner:
            return ""
        if all(taint.key != DRAINING_TAINT for taint in node.taints):
            return "taint"
        return "" if node.unschedulable else "cordon"

    def empty(self, track: NodeTrack, now: float) -> bool:
        """Whether nothing is left and nothing can have slipped in around the cordon."""
        return not track.closed and not track.left and track.cordoned is not None and now >= track.cordoned + SETTLE

    @property
    def over(self) -> int:
        """How many nodes are done or gone."""
        return self.phases["done"] + self.phases["gone"]

    def in_phase(self, phase: str) -> list[NodeTrack]:
        """Tracks in this phase."""
        return [track for track in self.tracks.values() if track.phase == phase]

    def order(self) -> list[NodeTrack]:
        """Waiting nodes, zone by zone: a batch then touches few zones at once."""

        def key(track: NodeTrack) -> tuple[str, str]:
            node = self._world.nodes.get(track.name)
            return (node.zone if node else "", track.name)

        return sorted(self.in_phase("waiting"), key=key)
