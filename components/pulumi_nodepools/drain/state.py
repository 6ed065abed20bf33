"""Everything one drain knows, in one place. Read what you like; only machine.step changes it."""

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from pulumi_nodepools.drain import storage
from pulumi_nodepools.drain.capacity import Capacity
from pulumi_nodepools.drain.diagnose import diagnose
from pulumi_nodepools.drain.events import Action, CommandEnded, Finish
from pulumi_nodepools.drain.evictions import Evictions
from pulumi_nodepools.drain.model import AttachmentView, Diagnosis, NodeView
from pulumi_nodepools.drain.nodes import Nodes, NodeTrack
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.unscheduled import Unscheduled
from pulumi_nodepools.drain.workloads import Workloads
from pulumi_nodepools.drain.world import World

Phase = Literal["sync", "guard", "taint", "cordon", "batch", "gate", "soak", "check", "end"]


@dataclass(slots=True)
class Judgement:
    """How far the gate behind one batch has come. Batch 0 is what was there before the first."""

    batch: int = 0
    nodes: tuple[str, ...] = ()
    """Those of the batch that had something to move."""
    looks: int = 0
    """Good ones in a row."""
    next_look: float = 0.0
    soaked: bool = False
    asked: bool = False
    """Whether the user's check was begun."""
    ended: CommandEnded | None = None


class State:
    """One drain. Read what you like; only `step` changes it."""

    def __init__(
        self,
        settings: DrainSettings,
        owner: str,
        matches: Callable[[NodeView], bool],
        *,
        now: float,
        wall: float,
        balanced: bool = False,
        behind: Mapping[str, int] | None = None,
    ) -> None:
        self.settings = settings
        self.balanced = balanced
        """Whether nodes are taken out of their load balancers before their pods are evicted."""
        self.world = World()
        self.nodes = Nodes(self.world, settings, owner, matches)
        self.evictions = Evictions(self.world, settings)
        self.workloads = Workloads(self.world, behind or {})
        self.unscheduled = Unscheduled(self.world)
        self.judgement = Judgement()
        self.capacity = Capacity()
        self.phase: Phase = "sync"
        self.started = now
        self.wall_offset = wall - now
        self.finish: Finish | None = None
        self.phases: list[tuple[str, float]] = [("sync", now)]
        self.gate_since = 0.0
        self.next_deadline = float("inf")
        self.soak_until = 0.0
        self.guard_for: Phase = "taint"
        self.rejudge_at = float("inf")
        """When pods that opted out are to be looked at again; on each Tick it would be quadratic."""
        self.guard_at = float("inf")
        """When the guard is to be asked; never while its answer is awaited."""
        self.marks: dict[str, tuple[bool, int]] = {}
        """Labels of nodes that are being written: wanted or not, and how often it was tried."""
        self.releases: dict[str, int] = {}
        """Nodes that are being given up in the cluster, and how often that was tried."""
        self.lost: dict[str, float] = {}
        """Kinds of objects that nothing is heard of, since when."""
        self.sees_at = float("-inf")
        """When what was missed by a lost watch has been caught up with."""
        self.paused = False
        """Nothing new is evicted: too little is known."""
        self.held = ""
        """Who asked the drain to stand still, and when; empty if nobody did."""
        self.holds: list[tuple[float, float | None]] = []
        """When it stood still, from and to."""
        self.timers: list[float] = [now + settings.total_timeout]
        self.actions: list[Action] = []

    @property
    def batch(self) -> int:
        """The number of the batch that was begun last; 0 before the first."""
        return self.judgement.batch

    def first_batch(self, now: float) -> float:
        """When the first batch began; now if none has."""
        return next((began for phase, began in self.phases if phase == "batch"), now)

    def at(self, when: float) -> None:
        """Ask to be woken then."""
        heapq.heappush(self.timers, when)

    def rejudge(self, when: float) -> None:
        """Look at pods that opted out again then."""
        self.rejudge_at = min(self.rejudge_at, when)
        self.at(when)

    def deadline(self, when: float) -> None:
        """A node has to be empty by then."""
        self.next_deadline = min(self.next_deadline, when)
        self.at(when)

    def wake(self) -> float | None:
        """The time of the next Tick that is needed even if nothing happens before."""
        times = [self.timers[0]] if self.timers else []
        later = self.evictions.wake()
        if self.phase == "batch" and later is not None and not self.paused and not self.held:
            times.append(later)
        return min(times) if times else None

    def still_attached(self, track: NodeTrack) -> list[AttachmentView]:
        """What the node still holds for pods that were moved off it."""
        pods = self.world.pods
        return self.world.storage.left_behind(track.name, (pods[uid] for uid in track.ignored if uid in pods))

    def blocked(self, now: float, *, after: float = 0.0, limit: int = 100) -> list[Diagnosis]:
        """A diagnosis for each pod on active nodes that has not moved for `after` seconds."""
        found = self._unpatched(after) if self.phase in ("taint", "cordon") else []
        found += self._unseen() if self.paused else []
        found += self._held() if self.held else []
        found += [] if after else self._skipped(now, limit)
        found += [self._balanced(name, now) for name in self.nodes.leaving if self._leaving(name, now) >= after]
        for track in self.nodes.active.values():
            if track.started is None or now - track.started < after:
                continue
            found.extend(islice(self._explain(track, now), limit - len(found)))
            if track.emptied is not None and now - track.emptied >= after:
                found.extend(storage.explain(self.still_attached(track), now - track.emptied))
        if self.phase == "gate" and now - self.gate_since >= after:
            found.extend([*self.workloads.explain(), *self.unscheduled.explain()][: limit - len(found)])
        return found

    def _skipped(self, now: float, limit: int) -> list[Diagnosis]:
        found = []
        for track in self.nodes.in_phase("skipped"):
            message = f"it was left out when its time ran out, with {len(track.left)} pods on it now"
            fix = "see what holds its pods, then run the drain again: it goes on with this node"
            numbers = {"podsLeft": len(track.left), "timeoutSeconds": self.settings.node_timeout}
            found.append(Diagnosis("node-skipped", f"node {track.name}", track.name, message, fix, numbers))
            found.extend(islice(self._explain(track, now), max(0, limit - len(found))))
        return found

    def _balanced(self, name: str, now: float) -> Diagnosis:
        track = self.nodes.tracks[name]
        message = f"it is being taken out of its load balancers: {'; '.join(track.waits_for) or 'not answered yet'}"
        fix = "look at the targets of the new version and the deregistration delay of these target groups"
        return Diagnosis(
            "load-balancer", f"node {name}", name, message, fix, {"seconds": round(self._leaving(name, now))}
        )

    def _leaving(self, name: str, now: float) -> float:
        began = self.nodes.tracks[name].leaving
        return 0.0 if began is None else now - began

    def _held(self) -> list[Diagnosis]:
        fix = "`nodepools resume` lets it go on, `nodepools stop` ends it"
        return [Diagnosis("paused", f"drain of {self.nodes.owner}", "", f"{self.held}; nothing is started", fix)]

    def _unseen(self) -> list[Diagnosis]:
        kinds = " and ".join(sorted(self.lost)) or "pods and budgets"
        message = f"nothing is heard of {kinds}, so nothing new is evicted"
        return [Diagnosis("api-failing", f"watch of {kinds}", "", message, "look at the API server and the way to it")]

    def _unpatched(self, after: float) -> list[Diagnosis]:
        return [
            Diagnosis(
                "node-refused",
                f"node {name}",
                name,
                f"it could not be tainted and cordoned: {track.trouble or 'no answer yet'} ({track.failures} refusals)",
                "look for admission policies that guard nodes, and for the right to patch them",
                {"refusals": track.failures},
            )
            for name in self.nodes.lacking
            if (track := self.nodes.tracks[name]).failures or not after
        ]

    def _explain(self, track: NodeTrack, now: float) -> Iterator[Diagnosis]:
        for uid, verdict in track.left.items():
            pod = self.world.pods.get(uid)
            if pod is not None and verdict.action == "evict" and verdict.tier > track.tier:
                first = sum(number for tier, number in track.tiers.items() if tier < verdict.tier)
                message = f"its order or its priority puts it behind {first} other pods of its node"
                fix = "look at what holds those"
                yield Diagnosis("waiting", f"pod {pod.path}", pod.node, message, fix, {"before": first})
            elif pod is not None:
                story = self.evictions.tracks.get(uid)
                yield diagnose(self.world, pod, story, verdict.reason, now + self.wall_offset)
