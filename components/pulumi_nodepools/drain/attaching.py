"""How many volumes nodes can attach, and which of them they have. Pure.

Counted as the scheduler counts: by CSI driver, and each volume once on a node however many pods use it. A node or a
driver that names no number has no limit. Volumes that are still attached and that no pod uses are on their way off.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pulumi_nodepools.drain.model import VolumeView

Limits = Mapping[str, int]
"""Volumes that a node can attach, by CSI driver."""


@dataclass(slots=True)
class Slots:
    """What one node can attach, and has."""

    limits: Limits = field(default_factory=dict)
    taken: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def exceeded(self, volumes: Iterable[VolumeView]) -> str:
        """The driver of which these would be too many; empty if all of them can be attached."""
        more: dict[str, set[str]] = defaultdict(set)
        for volume in volumes:
            if volume.driver in self.limits and volume.name not in self.taken[volume.driver]:
                more[volume.driver].add(volume.name)
        over = (one for one, names in more.items() if len(self.taken[one]) + len(names) > self.limits[one])
        return next(over, "")

    def put(self, volumes: Iterable[VolumeView]) -> None:
        """Attach these."""
        for volume in volumes:
            self.taken[volume.driver].add(volume.name)


class Demand:
    """What pods ask of slots, in a form in which equal pods are equal. Nothing counts of which no node has a limit."""

    def __init__(self, limits: Iterable[Limits], used: Iterable[Sequence[VolumeView]]) -> None:
        self._limited = {driver for one in limits for driver in one}
        users = Counter(name for volumes in used for name in {volume.name for volume in volumes})
        self._shared = {name for name, number in users.items() if number > 1}

    def of(self, volumes: Iterable[VolumeView]) -> tuple[tuple[str, str], ...]:
        """One entry for each volume that counts: its driver, and its name only where other pods use it too."""
        counted = {one.name: one.driver for one in volumes if one.driver in self._limited}
        return tuple(sorted((driver, name if name in self._shared else "") for name, driver in counted.items()))
