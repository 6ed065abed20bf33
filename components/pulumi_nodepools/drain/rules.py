"""What the settings say about some pods: leave them, wait for them, or let them go before or after others. Pure.

The first rule that names a pod counts; what the pod's own annotation asks for comes before all rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from pulumi_nodepools.errors import ConfigError

Wish = Literal["drain", "skip", "wait-completed"]
_WISHES = ("drain", "skip", "wait-completed")
MOST = 1000
"""Orders lie between this and its negative."""


@dataclass(frozen=True)
class Rule:
    """`pods` is a pattern of `<namespace>/<name>`, `*` for anything; a pod must also have all `labels`."""

    pods: str = "*"
    labels: Mapping[str, str] = field(default_factory=dict)
    do: Wish = "drain"
    order: int = 0

    def __post_init__(self) -> None:
        if self.pods == "*" and not self.labels:
            raise ConfigError("drain.rules: a rule without pods and labels would be about every pod; name some")
        if self.pods != "*" and self.pods.count("/") != 1:
            raise ConfigError(f"drain.rules: {self.pods!r} is not <namespace>/<name>, such as jobs/* or shop/db-*")
        if self.do not in _WISHES:
            raise ConfigError(f"drain.rules: {self.do!r} is not one of {', '.join(_WISHES)}")
        if not -MOST <= self.order <= MOST:
            raise ConfigError(f"drain.rules: order {self.order} is not between -{MOST} and {MOST}")

    def names(self, path: str, labels: Mapping[str, str]) -> bool:
        """Whether it is about the pod `<namespace>/<name>` with these labels."""
        return fnmatchcase(path, self.pods) and all(labels.get(key) == value for key, value in self.labels.items())

    @classmethod
    def from_props(cls, props: Mapping[str, Any]) -> "Rule":
        """Read it as the YAML and the state have it."""
        return cls(**{key: value for key, value in props.items() if value is not None})

    def to_props(self) -> dict[str, Any]:
        """The same for the state."""
        return {"pods": self.pods, "labels": dict(self.labels), "do": self.do, "order": self.order}
