"""What the scheduling of evictions remembers: the story of each pod, and the lane that it waits in. Plain data.

Who goes next is decided in drain.evictions.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from pulumi_nodepools.drain.answers import Meaning

ROLLOUT = "rollout "
"""Lanes of pods that their Deployment replaces begin so."""
PROBE_FIRST = 5.0
"""The first time that a budget without room is asked anyway."""


@dataclass(slots=True)
class Track:
    """The story of one pod's eviction."""

    uid: str
    namespace: str
    name: str
    node: str
    since: float
    lane: str = ""
    state: str = "pending"
    """pending, in-flight, accepted, then `outcome` is set."""
    attempts: int = 0
    failures: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    retry_at: float = 0.0
    cause: Meaning | None = None
    cause_text: str = ""
    budgets: tuple[str, ...] = ()
    asked_at_version: int = 0
    accepted_at: float | None = None
    owner: str = ""
    outcome: str = ""
    unsure_until: float = 0.0
    """An answer was lost: until then the eviction may yet be seen."""
    forced: bool = False
    """Its node's time is up: it is deleted with its own grace, whatever budgets and pacing say."""
    deleted: bool = False
    """The last request was such a deletion, not an eviction."""
    wanted: bool = True
    """False once it is not to be evicted (any more), whatever is still under way."""

    @property
    def by_rollout(self) -> bool:
        """Whether a rollout of its Deployment moves it, and not an eviction."""
        return self.lane.startswith(ROLLOUT)


@dataclass(slots=True)
class Lane:
    """Pods that wait for the same thing, and what is known about it."""

    pending: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Ordered, and quick at its front: a plain dict walks over everything that was taken from there before."""
    unready: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Those of `pending` that serve nobody: budgets and pacing may let them go although there is no room."""
    refused: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Those that this budget refused and whose retry waits: news of the budget brings them back at once."""
    in_flight: int = 0
    hold_until: float = 0.0
    """The server asked not to be asked about this budget before."""
    version: int = 0
    """Grows with every change seen of the budget, to know an answer that is older than it."""
    probe_at: float | None = None
    probe_wait: float = PROBE_FIRST
