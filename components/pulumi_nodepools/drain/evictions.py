"""Which pod may be evicted next: one at a time per budget, paced per controller, slowed down when the server asks.

Every pod waits in the lane of whatever limits it. A lane is looked at only when something about it changed or its
timer ran out, so the cost of an event does not grow with the number of pods. No clock: times come in.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from pulumi_nodepools.drain import surge
from pulumi_nodepools.drain.answers import Meaning, meaning, refusal, retry_delay
from pulumi_nodepools.drain.events import Answered, Evict, Surge
from pulumi_nodepools.drain.lanes import PROBE_FIRST, ROLLOUT, Lane, Track
from pulumi_nodepools.drain.model import BudgetView, PodView
from pulumi_nodepools.drain.pacing import Pacing
from pulumi_nodepools.drain.settings import DrainSettings
from pulumi_nodepools.drain.world import World, counts_as_ready

WINDOW = 32
"""Evictions in flight at most: more than this only queues up in a real server."""
_PROBE_MOST = 15.0
"""A budget that shows no room is asked anyway after this long: its watch may have been missed."""
_UNSEEN_LIMIT = 60.0
"""An accepted eviction that the watch never shows is forgotten after this long, and asked again."""

_NOT_DONE = ("budget", "budgets", "conflict")
"""Refusals that only a pod can get whose eviction was not carried out; others are made before anyone looks at it."""


_Pick = tuple[Track, PodView]


class Evictions:
    """The lanes and tracks of all pods that are to leave."""

    def __init__(self, world: World, settings: DrainSettings) -> None:
        self.tracks: dict[str, Track] = {}
        self.in_flight = 0
        self.hold_until = 0.0
        self.forbidden = ""
        self._world = world
        self._settings = settings
        self._window = float(WINDOW)
        self._lanes: dict[str, Lane] = {}
        self._dirty: dict[str, None] = {}
        self._pacing = Pacing(world)
        self._surges: Counter[str] = Counter()
        """Rollouts that were accepted, by Deployment."""
        self._timers: list[tuple[float, str]] = []

    def add(self, pod: PodView, now: float) -> None:
        """A pod is to leave from now on; also called when it changed."""
        track = self._track(pod, now)
        track.wanted = True
        if track.state == "pending" and not pod.terminating:
            self._enlane(track, pod, now)

    def _track(self, pod: PodView, now: float) -> Track:
        track = self.tracks.get(pod.uid)
        if track is None:
            track = Track(pod.uid, pod.namespace, pod.name, pod.node, now, owner=pod.owner.uid if pod.owner else "")
            self.tracks[pod.uid] = track
        return track

    def force(self, pod: PodView, now: float) -> None:
        """A pod is to be deleted from now on, without asking budgets or waiting for its turn."""
        track = self._track(pod, now)
        track.forced, track.retry_at = True, 0.0
        self._take_back(track)
        self.add(pod, now)

    def is_forced(self, uid: str) -> bool:
        """Whether a pod is to be deleted whatever holds it up."""
        track = self.tracks.get(uid)
        return track is not None and track.forced

    def gone(self, uid: str, now: float) -> None:
        """The pod is no more."""
        track = self.tracks.get(uid)
        if track is None or track.outcome:
            return
        track.outcome = "gone" if track.accepted_at is None else "surged" if track.by_rollout else "evicted"
        self._leave(track)
        self._end_going(track)
        if track.state == "in-flight":
            return  # its answer is still due and frees the lane
        track.state = "gone"
        track.accepted_at = track.accepted_at if track.accepted_at is not None else now

    def keep(self, uid: str) -> None:
        """The pod is not to be evicted (any more): it is terminating by itself, or something blocks it."""
        track = self.tracks.get(uid)
        if track is None:
            return
        track.wanted = False
        self._leave(track)
        pod = self._world.pods.get(uid)
        if pod and pod.terminating:  # the world no longer counts it as ready: no need to remember that it goes
            self._pacing.settled(track.owner, uid)

    def budget_changed(self, uid: str, now: float) -> None:
        """A budget's numbers changed: its lane may go on at once."""
        lane, budget = self._lanes.get("budget " + uid), self._world.budgets.get(uid)
        if lane is None:
            return
        lane.version += 1
        lane.probe_at, lane.probe_wait = None, PROBE_FIRST
        self._dirty["budget " + uid] = None
        if budget is None or budget.allowed > 0:
            lane.hold_until = 0.0
            for name in list(lane.refused):
                track, pod = self.tracks[name], self._world.pods.get(name)
                track.retry_at = 0.0
                if pod:
                    self._enlane(track, pod, now)

    def deployment_changed(self, uid: str, undone: str, now: float) -> None:
        """A Deployment changed: its pod may go on, or otherwise; `undone` is one that it is not to replace any more."""
        lane = self._lanes.get(ROLLOUT + uid)
        waiting = [*lane.pending] if lane else []
        if undone in self.tracks:
            self._take_back(self.tracks[undone])
            waiting.append(undone)
        for track, pod in self._known(waiting):
            if track.wanted and track.state == "pending":
                self._enlane(track, pod, now)

    def deployment_gone(self, uid: str, now: float) -> None:
        """A Deployment is no more: nobody replaces its pod."""
        asked = (track.uid for track in self.tracks.values() if track.lane == ROLLOUT + uid)
        self.deployment_changed(uid, next(asked, ""), now)

    def _take_back(self, track: Track) -> None:
        """What its Deployment was asked for does not count any more."""
        if track.by_rollout and track.state == "accepted":
            track.state, track.accepted_at = "pending", None

    def owner_changed(self, uid: str) -> None:
        """Pods of a controller became ready or unready: its lane may go on."""
        if "owner " + uid in self._lanes:
            self._dirty["owner " + uid] = None

    def answered(self, answer: Answered, now: float) -> None:
        """Take in the answer to an eviction."""
        track = self.tracks[answer.uid]
        lane = self._lanes[track.lane]
        lane.in_flight -= 1
        self.in_flight -= 1
        self._dirty[track.lane] = None
        track.codes[str(answer.code) if answer.code else "error"] += 1
        means = meaning(answer)
        if means == "gone" and track.by_rollout:
            means = "conflict"  # not the pod has gone, but its Deployment: the watch tells soon what that means
        if means in ("accepted", "gone"):
            self._accepted(track, means, now)
        else:
            self._refused(track, lane, answer, means, now)

    def _accepted(self, track: Track, means: Meaning, now: float) -> None:
        track.accepted_at = now
        track.cause, track.failures = None, 0
        self._window = min(float(WINDOW), self._window + 1)
        for uid in track.budgets:
            budget = self._world.budgets.get(uid)
            if budget and means == "accepted" and budget.allowed > 0:
                # The watch will say the same; until it does, do not ask for what is spent.
                self._world.put_budget(_with_allowed(budget, budget.allowed - 1))
        self._surges[track.lane.removeprefix(ROLLOUT)] += track.by_rollout
        if track.outcome:  # the watch was faster than the answer
            track.outcome = "surged" if track.by_rollout else "evicted"
            track.state = "gone"
        else:
            track.state = "accepted"
            self._at(now + _UNSEEN_LIMIT, track.uid)

    def _refused(self, track: Track, lane: Lane, answer: Answered, means: Meaning, now: float) -> None:
        track.failures = track.failures + 1 if track.cause == means else 1
        track.cause, track.cause_text = means, answer.message
        self._doubt(track, means, now)
        if track.outcome:
            track.state = "gone"
            return
        track.state = "pending"
        if means == "forbidden":
            self.forbidden = refusal(f"evicting {track.namespace}/{track.name}", answer.code, answer.message)
            return
        delay = retry_delay(means, track.failures, answer.retry_after, key=track.uid)
        track.retry_at = now + delay
        self._at(track.retry_at, track.uid)
        if means == "throttled":
            self.hold_until = max(self.hold_until, now + delay)
            self._at(self.hold_until, "")
        if means == "throttled" or answer.code in (0, 503):
            self._window = max(1.0, self._window / 2)
        pod = self._world.pods.get(track.uid)
        if pod and track.wanted and not pod.terminating:
            self._enlane(track, pod, now)
            if means == "budget":
                self._spent(track, lane, answer, now)

    def _doubt(self, track: Track, means: Meaning, now: float) -> None:
        """A lost eviction may have been carried out: the pod counts as leaving until that is ruled out."""
        if means == "transient":
            track.unsure_until = now + _UNSEEN_LIMIT
        elif means in _NOT_DONE or now >= track.unsure_until:
            self._end_going(track)

    def _spent(self, track: Track, lane: Lane, answer: Answered, now: float) -> None:
        """The budget has no room. If its watch spoke after we asked, it knows better: then ask again soon."""
        lane.refused[track.uid] = None
        if answer.retry_after:
            lane.hold_until = max(lane.hold_until, now + answer.retry_after)
            self._at(lane.hold_until, track.lane)
        if answer.retry_after or track.asked_at_version != lane.version:
            return
        for uid in track.budgets:
            budget = self._world.budgets.get(uid)
            if budget:
                self._world.put_budget(_with_allowed(budget, 0))

    def choose(self, now: float) -> list[Evict | Surge]:
        """The evictions and surges to send now."""
        self._ring(now)
        chosen: list[Evict | Surge] = []
        if now < self.hold_until:
            return chosen
        for key in list(self._dirty):
            if self.in_flight >= int(self._window):
                break
            del self._dirty[key]
            lane = self._lanes[key]
            room = int(self._window) - self.in_flight
            for track, pod in self._picks(key, lane, room, now):
                chosen.append(self._send(track, pod, lane))
            if self.in_flight >= int(self._window) and lane.pending:
                self._dirty[key] = None  # to the back: every lane gets its turn
        return chosen

    def _send(self, track: Track, pod: PodView, lane: Lane) -> Evict | Surge:
        self._leave(track)
        lane.in_flight += 1
        self.in_flight += 1
        track.state = "in-flight"
        track.attempts += 1
        track.asked_at_version = lane.version
        if track.by_rollout:
            return Surge(self._world.deployments[track.lane.removeprefix(ROLLOUT)], pod.uid)
        track.budgets = self._world.guards(pod)
        self._pacing.leaves(track.owner, track.uid)
        track.deleted = track.forced
        # Never 0: the object would go before its containers, and a second one of the same name could run beside it.
        grace = max(1, pod.grace) if track.forced else None
        return Evict(pod.namespace, pod.name, pod.uid, pod.node, grace)

    def _known(self, uids: Iterable[str]) -> Iterator[_Pick]:
        for uid in uids:
            pod = self._world.pods.get(uid)
            if pod is not None:
                yield self.tracks[uid], pod

    def _picks(self, key: str, lane: Lane, room: int, now: float) -> list[_Pick]:
        kind, _, uid = key.partition(" ")
        if key.startswith(ROLLOUT):
            made = self._world.deployments.get(uid)
            return [pick for pick in self._known(lane.pending) if made and surge.due(made, pick[1].uid)]
        if kind == "budget":
            return self._one_of_budget(key, lane, self._world.budgets.get(uid), now)
        if kind == "many":
            room = 0 if lane.in_flight else 1
        return list(islice(self._known(self._pacing.next_of(uid, lane) if kind == "owner" else lane.pending), room))

    def _one_of_budget(self, key: str, lane: Lane, budget: BudgetView | None, now: float) -> list[_Pick]:
        if lane.in_flight or now < lane.hold_until:
            return []
        for pick in self._known(_tryable(lane, budget)):
            lane.probe_at = None
            return [pick]
        if lane.probe_at is None:
            lane.probe_at = now + lane.probe_wait
            self._at(lane.probe_at, key)
        if now < lane.probe_at:
            return []
        lane.probe_at, lane.probe_wait = None, min(lane.probe_wait * 2, _PROBE_MOST)
        return list(islice(self._known(lane.pending), 1))

    def _lane_of(self, pod: PodView) -> str:
        """What limits a pod. The server lets finished and pending pods pass every budget; they serve nobody."""
        track = self.tracks.get(pod.uid)
        if pod.finished or pod.phase == "Pending" or (track and track.forced):
            return "free"
        made = surge.by_rollout(self._world, self._settings, pod)
        if made and self._surges[made.uid] < surge.LIMIT:
            return ROLLOUT + made.uid
        guards = self._world.guards(pod)
        if len(guards) > 1:
            return "many " + pod.uid
        if guards:
            return "budget " + guards[0]
        controller = self._world.wants(pod)
        return "owner " + controller.uid if controller and self._settings.unbudgeted == "paced" else "free"

    def _enlane(self, track: Track, pod: PodView, now: float) -> None:
        """Let it wait where it belongs; one that has to wait for its retry is brought back by its timer."""
        key = self._lane_of(pod)
        if key != track.lane:
            self._leave(track)
            track.lane = key
        lane = self._lanes.setdefault(key, Lane())
        if track.retry_at > now:
            return
        lane.refused.pop(track.uid, None)
        lane.pending[track.uid] = None
        if counts_as_ready(pod):
            lane.unready.pop(track.uid, None)
        else:
            lane.unready[track.uid] = None
        self._dirty[key] = None

    def _leave(self, track: Track) -> None:
        lane = self._lanes.get(track.lane)
        if lane:
            for waiting in (lane.pending, lane.unready, lane.refused):
                waiting.pop(track.uid, None)

    def _end_going(self, track: Track) -> None:
        self._pacing.settled(track.owner, track.uid)
        self.owner_changed(track.owner)

    def _at(self, when: float, key: str) -> None:
        heapq.heappush(self._timers, (when, key))

    def wake(self) -> float | None:
        """When to look again even if nothing happens."""
        return self._timers[0][0] if self._timers else None

    def _ring(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            _, key = heapq.heappop(self._timers)
            track = self.tracks.get(key)
            if track is None:
                if key in self._lanes:
                    self._dirty[key] = None
            else:
                self._remind(track, now)

    def _remind(self, track: Track, now: float) -> None:
        """Its retry is due, or its eviction was accepted long ago and never seen."""
        pod = self._world.pods.get(track.uid)
        if pod is None or pod.terminating or track.outcome:
            return
        if track.state == "accepted" and not track.by_rollout:  # the next pod may take long to start
            track.state, track.accepted_at = "pending", None
            self._end_going(track)
        if track.state == "pending" and track.wanted:
            self._enlane(track, pod, now)


def _tryable(lane: Lane, budget: BudgetView | None) -> Iterable[str]:
    """The pods that the server would let go, as far as the budget's last status tells."""
    if budget is None or budget.allowed > 0:
        return lane.pending
    return lane.unready if budget.always_allow_unready or budget.healthy >= budget.needed > 0 else ()


def _with_allowed(budget: BudgetView, allowed: int) -> BudgetView:
    return msgspec.structs.replace(budget, allowed=allowed)
