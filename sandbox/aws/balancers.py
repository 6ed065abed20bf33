"""Target groups whose targets take their time, and whose load balancers remember whom they sent requests to, and when.

A registered target is `initial` until its health checks have passed; a deregistered one is `draining` for the group's
deregistration delay. A Network Load Balancer sends new connections to it for a while longer, and no call of AWS tells.
All of this runs CLOCK times as fast as at AWS. What checks find is told by whoever knows (PROBES); until then a
running instance passes. Not imitated: fail-open, slow start, stickiness, zones, listeners and their rules.
"""

import importlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws import CLOCK, HISTORY, PROBES

models: Any = importlib.import_module("moto.elbv2.models")
instances: Any = importlib.import_module("moto.ec2.models.instances")

TAIL = 120.0
"""Seconds of AWS for which a Network Load Balancer may send new connections to a deregistered target."""
_NETWORK = ("TCP", "UDP", "TLS", "TCP_UDP")
_ALWAYS = float("inf")
_REASONS = {
    "initial": ("Elb.RegistrationInProgress", "Target registration is in progress"),
    "unhealthy": ("Target.FailedHealthChecks", "Health checks failed"),
    "draining": ("Target.DeregistrationInProgress", "Target deregistration is in progress"),
    "unused": ("Target.NotRegistered", "Target is not registered to the target group"),
}


@dataclass
class Span:
    """Some time, in seconds of the wall clock."""

    begin: float
    end: float = _ALWAYS


@dataclass
class Stay:
    """One target's time in a target group. `up` and `down` are how long checks take to find out, in seconds."""

    target: dict[str, Any]
    up: float
    down: float
    judged: float
    """When the first checks are over."""
    passes: bool = False
    drained: float | None = None
    """Once it was deregistered: until when its open connections may end."""
    sent: list[Span] = field(default_factory=list)
    """When it gets requests."""

    def probe(self, passes: bool, now: float) -> None:
        """Health checks find something from now on."""
        if passes and not self.passes:
            self.sent.append(Span(now + self.up))
        if self.passes and not passes:
            self._silence(now + self.down)
        self.passes = passes

    def leave(self, delay: float, tail: float, now: float) -> None:
        """Deregister it."""
        self.drained = now + delay
        self._silence(now + tail)
        for span in self.sent:
            span.end = span.begin if span.begin > now else span.end

    def state(self, now: float) -> str:
        """AWS's word for it."""
        if self.drained is not None:
            return "draining" if now < self.drained else "unused"
        if any(span.begin <= now < span.end for span in self.sent):
            return "healthy"
        return "initial" if now < self.judged else "unhealthy"

    def _silence(self, when: float) -> None:
        for span in self.sent:
            span.end = min(span.end, max(span.begin, when))


class TargetGroup(models.FakeTargetGroup):  # type: ignore[misc]
    """moto's, with what a target goes through. The caller holds the server's lock."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stays: list[Stay] = []
        self.answering: set[str] | None = None
        """Who answers health checks, as far as somebody has told."""

    def register(self, targets: list[dict[str, Any]]) -> None:
        """A target that is there already stays as healthy as it is."""
        before = set(self.targets)
        super().register(targets)
        for name in dict.fromkeys(one["Id"] for one in targets if one["Id"] not in before):
            now, passes = time.time(), self.answering is None or name in self.answering
            up, down = self._checks(self.healthy_threshold_count), self._checks(self.unhealthy_threshold_count)
            stay = Stay(self.targets[name], up, down, now + (up if passes else down))
            stay.probe(passes, now)
            self.stays.append(stay)

    def deregister(self, targets: list[dict[str, Any]]) -> None:
        """What is not registered is left alone, as AWS does."""
        super().deregister([one for one in targets if one["Id"] in self.targets])
        delay = float(self.attributes["deregistration_delay.timeout_seconds"]) / CLOCK
        for stay in self._registered(one["Id"] for one in targets):
            stay.leave(delay, TAIL / CLOCK if self.protocol in _NETWORK else 0.0, time.time())

    def deregister_terminated_instances(self, instance_ids: list[str]) -> None:
        """AWS does so once it has noticed; `ended` says what happens until then."""

    def ended(self, ids: Iterable[str]) -> None:
        """Instances are no more: their health checks fail, and requests go there until that is known."""
        for stay in self._registered(ids):
            stay.probe(False, time.time())

    def told(self, answering: Iterable[str]) -> None:
        """These targets answer health checks from now on, the others do not."""
        self.answering = set(answering)
        for stay in self._registered(self.targets):
            stay.probe(stay.target["Id"] in self.answering, time.time())

    def health(self, ids: Iterable[str] = ()) -> list[Any]:
        """The health of these targets, or of all that are registered or draining."""
        now = time.time()
        known = {stay.target["Id"]: stay for stay in self.stays if stay.state(now) != "unused"}
        return [self._health(each, known.get(each), now) for each in list(ids) or known]

    def drains(self, target_id: str) -> bool:
        """Whether open connections to a deregistered target may still end by themselves."""
        return any(stay.target["Id"] == target_id and stay.state(time.time()) == "draining" for stay in self.stays)

    def _health(self, target_id: str, stay: Stay | None, now: float) -> Any:
        instance = self.ec2_backend.get_instance_by_id(target_id)
        state = stay.state(now) if stay else "unused"
        reason, text = _REASONS.get(state, (None, None))
        if stay and instance is not None and instance.state not in ("running", "pending"):
            state, reason, text = "unused", "Target.InvalidState", f"Target is in the {instance.state} state"
        port = stay.target["Port"] if stay else self.port
        return models.FakeHealthStatus(target_id, port, self.health_check_port, state, reason, text)

    def _registered(self, ids: Iterable[str]) -> list[Stay]:
        wanted = set(ids)
        return [stay for stay in self.stays if stay.target["Id"] in wanted and stay.drained is None]

    def _checks(self, count: object) -> float:
        return int(str(count)) * float(self.health_check_interval_seconds) / CLOCK


class DataPath:
    """What no call of AWS tells, for the sandbox's own programs."""

    def __init__(self) -> None:
        self.pages = {HISTORY: self._history, PROBES: self._probes}
        self._ended: dict[str, float] = {}

    def note_ended(self, ids: Iterable[str]) -> None:
        """Instances were terminated."""
        fresh = [each for each in ids if each not in self._ended]
        self._ended.update(dict.fromkeys(fresh, time.time()))
        for group in _groups().values():
            group.ended(fresh)

    def _history(self, _body: bytes) -> dict[str, Any]:
        """Per target group, who got requests from when until when (null: still), and when instances ended."""
        now = time.time()
        sent = {
            arn: [
                [stay.target["Id"], span.begin, span.end if span.end <= now else None]
                for stay in group.stays
                for span in stay.sent
                if span.begin < min(span.end, now)
            ]
            for arn, group in _groups().items()
        }
        return {"sent": sent, "ended": self._ended}

    def _probes(self, body: bytes) -> dict[str, Any]:
        """Somebody tells who answers the health checks of each of some target groups."""
        groups = _groups()
        for arn, answering in json.loads(body).items():
            groups[arn].told(answering)
        return {}


def _groups() -> dict[str, TargetGroup]:
    regions = [backend for account in models.elbv2_backends.values() for backend in account.values()]
    return {arn: group for backend in regions for arn, group in backend.target_groups.items()}


def install() -> DataPath:
    """Put our target groups in moto's place; before the first request."""
    path = DataPath()
    models.FakeTargetGroup = TargetGroup

    def health(backend: Any, target_group_arn: str, targets: list[dict[str, Any]]) -> list[Any]:
        group = backend.target_groups.get(target_group_arn)
        if group is None:
            raise models.TargetGroupNotFoundError
        found: list[Any] = group.health(each["Id"] for each in targets or ())
        return found

    terminate = instances.InstanceBackend.terminate_instances

    def terminated(backend: Any, instance_ids: list[str]) -> Any:
        answer = terminate(backend, instance_ids)
        path.note_ended(instance_ids)
        return answer

    models.ELBv2Backend.describe_target_health = health
    instances.InstanceBackend.terminate_instances = terminated
    return path
