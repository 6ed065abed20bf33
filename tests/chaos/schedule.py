"""Which faults meet one roll, and when: a pure function of a seed.

A fault begins with the n-th request of some kind that the roll makes, not at a time, so that a slow machine meets it in
the same place. What a fault does is the business of `proxy` and `stage`.
"""

import random
from dataclasses import dataclass, field, replace

KUBERNETES = (
    "latency",
    "throttled",
    "throttled-bare",
    "error",
    "unavailable",
    "reset",
    "lost-answer",
    "half-open",
    "stale-watch",
    "dropped-watch",
    "gone-watch",
    "blind",
    "expired-token",
)
AWS = ("latency", "throttled", "error", "reset", "lost-answer", "half-open", "expired-token")
PARTS = ("kube-controller-manager", "kube-scheduler", "kube-apiserver")
KINDS = (
    *(f"kubernetes/{kind}" for kind in KUBERNETES),
    *(f"aws/{kind}" for kind in AWS),
    "process/kill-before",
    "process/kill-after",
    *(f"pause/{part}" for part in PARTS),
    "kill/kube-controller-manager",
    "kill/kube-scheduler",
    "death/old",
    "death/new",
    "zones/full",
)
"""Everything that can happen, named `<what is hit>/<how>`."""
ROUND = 24
"""In as many seeds in a row, from any on, every kind leads: some of them have two that lead."""
SHAPES = ("remove", "standby", "roll-back")
"""How the roll is meant to go: the old version is removed, stands by, or is returned to if the first run fails."""
_ONE_WATCH = ("kubernetes/stale-watch", "kubernetes/dropped-watch", "kubernetes/gone-watch")
_BLIND = "kubernetes/blind"
_KINDLY = (*_ONE_WATCH, _BLIND, "kubernetes/latency", "aws/latency")
_SHARED = ("pause/", "kill/", "zones/")
_ENDING = ("process/", "death/", "zones/")
_LASTING = ("kubernetes/expired-token", "aws/expired-token")
"""Credentials that are refused again after they were renewed are for a human to renew."""
_TRIES = 5
"""So many times a call of AWS is tried."""
_LEASE = 10.0
"""Seconds without a renewal that cost a run its Lease; a refusal costs about one."""
_IN_A_ROW = 4
"""So many refusals of one eviction hold it up for 19 s, as a drain waits twice as long each time; six hold it up for
longer than its node has."""
_WORK = ("evict", "node", "lease", "record")
"""What a drain asks of the API server: evictions, patches of nodes, its Lease, the pool's record."""


@dataclass(frozen=True)
class Fault:
    """From the `after`-th request `on` that matches, for `count` of them; `seconds` where the kind lasts.

    One that `joins` counts requests only once those that lead have been met: it must not end the run before.
    """

    kind: str
    on: str
    after: int
    count: int = 1
    seconds: float = 0.0
    joins: bool = False

    @property
    def refuses(self) -> bool:
        """Whether the requests that it meets get no good answer."""
        return self.kind not in _KINDLY and self.kind.startswith(("kubernetes/", "aws/"))

    @property
    def place(self) -> str:
        """The server whose requests pull the trigger."""
        return "aws" if self.kind.startswith("aws/") else "kubernetes"

    def __str__(self) -> str:
        lasting = f" for {self.seconds:g} s" if self.seconds else ""
        times = f", {self.count} times" if self.count > 1 else ""
        return f"{'then ' * self.joins}{self.kind}{lasting} from {self.on} #{self.after}{times}"


@dataclass(frozen=True)
class Schedule:
    """One roll's fate. `skews` are the seconds by which the clocks of the first and the second run are wrong."""

    seed: int
    shape: str
    faults: tuple[Fault, ...]
    skews: tuple[float, float] = field(default=(0.0, 0.0))

    @property
    def passing(self) -> bool:
        """Whether a run that meets all this has to reach its end without help: no fault ends it or outlasts it."""
        ends = any(fault.kind.startswith(_ENDING) or fault.kind in _LASTING for fault in self.faults)
        aws = sum(fault.count for fault in self.faults if fault.place == "aws" and fault.refuses)
        kubernetes = sum(fault.count * max(1.0, fault.seconds) for fault in self.faults if fault.refuses)
        evictions = sum(fault.count for fault in self.faults if fault.refuses and fault.on == "evict")
        return not ends and aws < _TRIES and kubernetes < _LEASE and evictions <= _IN_A_ROW

    @property
    def alone(self) -> bool:
        """Whether its faults would hit every other roll in the same sandbox too."""
        return any(fault.kind.startswith(_SHARED) for fault in self.faults)

    def __str__(self) -> str:
        skewed = f"; clocks wrong by {self.skews[0]:g} and {self.skews[1]:g} s" if any(self.skews) else ""
        return f"{self.shape}: {'; '.join(map(str, self.faults))}{skewed}"


def draw(seed: int) -> Schedule:
    """Each kind leads in turn; up to three others join those that lead."""
    dice = random.Random(seed)
    leads = KINDS[seed % ROUND :: ROUND]
    others = [kind for kind in KINDS if kind not in (*leads, *_LASTING) and not kind.startswith(_SHARED)]
    if _BLIND in leads:  # what a drain does that sees nothing is to be seen
        others = [kind for kind in others if not kind.startswith(_ENDING)]
    skews = (0.0, 0.0)
    if seed % 3 == 0:
        skews = dice.choice((-3600.0, -20.0, 20.0, 3600.0)), dice.choice((-600.0, 0.0, 600.0))
    faults = [_fault(kind, dice, 3) for kind in leads]
    faults += [replace(_fault(kind, dice, 6), joins=True) for kind in dice.sample(others, dice.randint(0, 3))]
    return Schedule(seed, dice.choice(SHAPES), tuple(faults), skews)


def leads_next(kind: str, first: int) -> int:
    """The first seed from `first` on whose schedule the kind leads."""
    return first + (KINDS.index(kind) - first) % ROUND


def _fault(kind: str, dice: random.Random, latest: int) -> Fault:
    hit, _, how = kind.partition("/")
    if hit == "zones":
        return Fault(kind, "any", 1, 1, round(dice.uniform(3, 8), 1))
    if hit == "aws":
        count, seconds = _extent(how, dice)
        return Fault(kind, dice.choice(("any", "write")), dice.randint(1, latest), min(count, 3), seconds)
    if kind == _BLIND:  # for longer than a drain that sees nothing goes on
        return Fault(kind, "evict", dice.randint(1, latest), 1, round(dice.uniform(9, 12), 1))
    if hit == "kubernetes":
        count, seconds = _extent(how, dice)
        on = "watch" if kind in _ONE_WATCH else dice.choice(("any", *_WORK))
        return Fault(kind, on, dice.randint(1, 10 * latest if on == "any" else latest), count, seconds)
    most = 4 if hit == "pause" else 6  # an API server that is away for longer costs the Lease
    # Leases and the record are written before the new version has a machine that could die.
    on = dice.choice(("evict", "node") if hit == "death" else _WORK)
    return Fault(kind, on, dice.randint(1, latest), 1, round(dice.uniform(2, most), 1))


def _extent(how: str, dice: random.Random) -> tuple[int, float]:
    """How many requests are hit, and for how long each."""
    if how == "latency":
        return dice.randint(5, 30), round(dice.uniform(0.2, 2.0), 1)
    if how == "half-open":
        return 1, round(dice.uniform(3, 8), 1)
    if how == "stale-watch":
        return dice.randint(5, 20), round(dice.uniform(0.5, 4.0), 1)
    if how == "dropped-watch":
        return dice.randint(5, 20), round(dice.uniform(0.0, 1.5), 1)
    return dice.randint(1, 6), float(dice.randint(1, 2)) if how == "throttled" else 0.0
