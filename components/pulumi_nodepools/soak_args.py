"""What a soak takes: how long, how often, on which images, and what runs. Plain values; checked where they are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pulumi_nodepools import config_checks as checks
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.soak.kmem import KMEM
from pulumi_nodepools.soak.model import SignatureSet

MINUTES = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)
"""Intervals that cron keeps over the hour."""


@dataclass(frozen=True, kw_only=True)
class SoakArgs:
    """The rules of a pool's soaks.

    `duration` and `timeout` in seconds, `failure_rate` from 0 to 1, `every` in minutes. `template` is the pod template
    of a run (camelCase, as in YAML), or None for the ready-made job that builds a cluster inside docker on the image
    `kind_in_docker`. `collector` is a Python image, 3.11 or newer. `baseline` repeats each run on the old nodes.
    """

    collector: str
    kernel_watch: str
    kind_in_docker: str | None = None
    template: Mapping[str, Any] | None = None
    duration: float = 259200.0
    runs: int = 100
    failure_rate: float = 0.0
    every: int = 10
    parallel: int = 1
    timeout: float = 1800.0
    baseline: bool = True
    sets: Sequence[SignatureSet] = (KMEM,)
    overrides: Mapping[str, str] = field(default_factory=dict)
    """Version -> the reason why it may be promoted without a passed soak."""

    def __post_init__(self) -> None:
        for name in ("collector", "kernel_watch", "kind_in_docker"):
            self._check_image(name, getattr(self, name))
        if (self.template is None) == (self.kind_in_docker is None):
            raise ConfigError("soak: give either pods, a pod template, or images.kindInDocker for the ready-made job")
        if self.every not in MINUTES:
            raise ConfigError(f"soak.every: {self.every}m; write one of {', '.join(f'{one}m' for one in MINUTES)}")
        if not 0 <= self.failure_rate < 1:
            raise ConfigError(f"soak.failureRate: {self.failure_rate} is not a share from 0 to below 1")
        possible = int(self.duration / 60 / self.every) * self.parallel
        if self.runs > possible:
            raise ConfigError(
                f"soak.runs: {self.runs} cannot end within the duration; every {self.every}m, {self.parallel} at a "
                f"time, makes {possible}. Run more often or more at a time, or ask for fewer"
            )

    @staticmethod
    def _check_image(name: str, value: str | None) -> None:
        try:
            _ = value is None or checks.pinned_image(value)
        except ValueError as error:
            raise ConfigError(f"soak.images.{name}: {error}") from None

    @property
    def windows(self) -> dict[str, float]:
        """The correlation window of each signature set, in seconds."""
        return {one.name: one.window for one in self.sets}
