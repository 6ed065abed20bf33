"""How a drain is to be done: settings as users write them, checked where they are made. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pulumi_nodepools.drain.acknowledge import require_entry
from pulumi_nodepools.drain.rules import Rule
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.units import share

_PROPS = {
    "batchSize": "batch_size",
    "timeout": "node_timeout",
    "totalTimeout": "total_timeout",
    "onTimeout": "on_timeout",
    "batchSoak": "batch_soak",
    "detachTimeout": "detach_timeout",
    "loadBalancers": "load_balancers",
    "deregistrationTimeout": "deregistration_timeout",
    "nlbSettle": "nlb_settle",
    "unbudgeted": "unbudgeted",
    "singleReplicas": "single_replicas",
    "emptyDir": "empty_dir",
    "barePods": "bare_pods",
    "jobs": "jobs",
    "poolOrder": "pool_order",
}
_LATER = {
    "detachTimeout": 600,
    "loadBalancers": "deregister",
    "deregistrationTimeout": 300,
    "nlbSettle": 120,
    "singleReplicas": "evict",
    "poolOrder": 0,
}
"""Settings that the first release did not have, with their defaults."""
_CHOICES = {
    "load_balancers": ("deregister", "label"),
    "on_timeout": ("fail", "skip", "force"),
    "unbudgeted": ("paced", "all"),
    "single_replicas": ("evict", "surge"),
    "empty_dir": ("allow", "block"),
    "bare_pods": ("block", "allow"),
    "jobs": ("evict", "wait"),
}
_SECONDS = {
    "node_timeout": 1.0,
    "total_timeout": 1.0,
    "batch_soak": 0.0,
    "detach_timeout": 1.0,
    "deregistration_timeout": 1.0,
    "nlb_settle": 0.0,
}
_MOST_ORDER = 1000
_FORCE = {"podAge": "pod_age", "siblingsReady": "siblings_ready", "interval": "interval"}
_BATCH_GATE = {
    "consecutive": "consecutive",
    "interval": "interval",
    "command": "command",
    "commandTimeout": "command_timeout",
}
_MOST_LOOKS = 100


def _check_seconds(setting: str, value: Any, least: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
        raise ConfigError(f"drain.{setting}: {value!r} is not a number of seconds of at least {least:g}")


@dataclass(frozen=True)
class ForceRule:
    """When `onTimeout: force` may delete a pod that a budget guards; in seconds, 0 asks for nothing.

    Until then the pod waits, at most for the total timeout, while its budget may still let it go.
    """

    pod_age: float = 0
    """It has run so long."""
    siblings_ready: float = 0
    """All other pods of its budgets have been ready so long, and none of them was forced."""
    interval: float = 0
    """So long ago the last such pod of its node was deleted."""

    def __post_init__(self) -> None:
        for prop, key in _FORCE.items():
            _check_seconds(f"force.{prop}", getattr(self, key), 0.0)

    @classmethod
    def from_props(cls, props: Mapping[str, Any]) -> "ForceRule":
        """Read camelCase properties; what is missing asks for nothing."""
        return cls(**{_FORCE[key]: value for key, value in props.items() if key in _FORCE and value is not None})

    def to_props(self) -> dict[str, float]:
        """What it asks for, as camelCase properties."""
        return {prop: getattr(self, key) for prop, key in _FORCE.items() if getattr(self, key)}


@dataclass(frozen=True)
class BatchGate:
    """What must hold before the next batch begins; times in seconds."""

    consecutive: int = 1
    """So many good looks at the workloads in a row."""
    interval: float = 5
    """So long apart; what goes wrong between two of them counts as well."""
    command: tuple[str, ...] = ()
    """The user's own check: a program and its arguments, run without a shell. Empty: none."""
    command_timeout: float = 300

    def __post_init__(self) -> None:
        most, count = _MOST_LOOKS, self.consecutive
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= most:
            raise ConfigError(f"drain.batchGate.consecutive: {count!r} is not a whole number from 1 to {most}")
        _check_seconds("batchGate.interval", self.interval, 0.0)
        _check_seconds("batchGate.commandTimeout", self.command_timeout, 1.0)
        if isinstance(self.command, str) or not all(isinstance(word, str) for word in self.command):
            raise ConfigError(
                "drain.batchGate.command: it is not a list of texts; write the program and its arguments apart, such "
                "as [./check.sh, --fast]: no shell splits them"
            )
        if self.command and not self.command[0].strip():
            raise ConfigError("drain.batchGate.command: its first word is empty; name the program there")

    @classmethod
    def from_props(cls, props: Mapping[str, Any]) -> "BatchGate":
        """Read camelCase properties; what is missing takes its default."""
        known = {_BATCH_GATE[key]: value for key, value in props.items() if key in _BATCH_GATE and value is not None}
        return cls(**known | ({"command": tuple(known["command"])} if "command" in known else {}))

    def to_props(self) -> dict[str, Any]:
        """What differs from the defaults, as camelCase properties."""
        usual = BatchGate()
        values = {
            prop: getattr(self, field)
            for prop, field in _BATCH_GATE.items()
            if getattr(self, field) != getattr(usual, field)
        }
        return values | ({"command": [*self.command]} if self.command else {})


@dataclass(frozen=True)
class DrainSettings:
    """How to drain; times in seconds. Checked where it is made, so a drain never meets a bad setting."""

    batch_size: str = "10%"
    node_timeout: float = 1800
    total_timeout: float = 21600
    on_timeout: Literal["fail", "skip", "force"] = "fail"
    """When a node's time is up: end the drain, leave that node out, or delete what is left on it."""
    batch_soak: float = 0
    detach_timeout: float = 600
    """From the moment that a node is empty until its volumes have to be off it."""
    load_balancers: Literal["deregister", "label"] = "deregister"
    """Whether nodes are taken out of their target groups, or only labelled for the controllers that do that."""
    deregistration_timeout: float = 300
    """For a node to leave its load balancers, beyond what its target groups take by themselves."""
    nlb_settle: float = 120
    """How long Network Load Balancers may send new connections after deregistration."""
    unbudgeted: Literal["paced", "all"] = "paced"
    single_replicas: Literal["evict", "surge"] = "evict"
    """Whether the one pod of a Deployment is evicted, or replaced first where its strategy allows that."""
    empty_dir: Literal["allow", "block"] = "allow"
    bare_pods: Literal["block", "allow"] = "block"
    jobs: Literal["evict", "wait"] = "evict"
    """Whether running pods of Jobs are evicted or left to complete."""
    pool_order: int = 0
    """Among the drains of one run that wait for the cluster, those with a lower one go first."""
    force: ForceRule = ForceRule()
    batch_gate: BatchGate = BatchGate()
    acknowledge: tuple[str, ...] = ()
    """Findings of a preflight that are known and are not to stop anything."""
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        names = {key: prop for prop, key in _PROPS.items()}
        share("drain.batchSize", self.batch_size, 100)
        for key, choices in _CHOICES.items():
            if getattr(self, key) not in choices:
                raise ConfigError(f"drain.{names[key]}: {getattr(self, key)!r} is not one of {', '.join(choices)}")
        for key, least in _SECONDS.items():
            _check_seconds(names[key], getattr(self, key), least)
        order = self.pool_order
        if isinstance(order, bool) or not isinstance(order, int) or not -_MOST_ORDER <= order <= _MOST_ORDER:
            raise ConfigError(f"drain.poolOrder: {order!r} is not a whole number from {-_MOST_ORDER} to {_MOST_ORDER}")
        if self.force != ForceRule() and self.on_timeout != "force":
            raise ConfigError(f"drain.force: it says when to force, but drain.onTimeout is {self.on_timeout!r}")
        for entry in self.acknowledge:
            require_entry(entry)

    @classmethod
    def from_props(cls, props: Mapping[str, Any]) -> "DrainSettings":
        """Read camelCase properties; what is missing takes its default."""
        known = {_PROPS[key]: value for key, value in props.items() if key in _PROPS and value is not None}
        force = ForceRule.from_props(props.get("force") or {})
        gate = BatchGate.from_props(props.get("batchGate") or {})
        rules = tuple(Rule.from_props(rule) for rule in props.get("rules") or ())
        accepted = tuple(props.get("acknowledge") or ())
        return cls(**known, force=force, batch_gate=gate, acknowledge=accepted, rules=rules)

    def to_props(self) -> dict[str, Any]:
        """The settings as camelCase properties; what earlier releases did not have only if it is set."""
        later = {
            "force": self.force.to_props(),
            "batchGate": self.batch_gate.to_props(),
            "acknowledge": [*self.acknowledge],
            "rules": [rule.to_props() for rule in self.rules],
        }
        known = {prop: getattr(self, field) for prop, field in _PROPS.items()}
        kept = {prop: value for prop, value in known.items() if _LATER.get(prop) != value}
        return kept | {prop: value for prop, value in later.items() if value}
