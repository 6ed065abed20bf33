"""What a pool remembers in the cluster: a ConfigMap guarded by resourceVersion, and the Lease beside it.

It holds what neither Pulumi's state nor AWS can: which version serves, what a freeze changed (a refresh would wipe it
from the state), which launches the gate stopped. It decides nothing.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import msgspec

from pulumi_nodepools.cluster import lease
from pulumi_nodepools.cluster.asking import patiently
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.errors import ApiError, ConfigError
from pulumi_nodepools.names import POOL_LABEL, RECORD_NAMESPACE, record_name

CONFIG_MAPS = f"/api/v1/namespaces/{RECORD_NAMESPACE}/configmaps"
SCHEMA = 1
_KEY = "record.json"
_ATTEMPTS = 8


@dataclass(frozen=True)
class Frozen:
    """What a group was before we changed it. `arn` tells it from a later group of the same name."""

    arn: str
    version: str
    min: int
    max: int
    desired: int
    suspended: tuple[str, ...] = ()
    """The processes that *we* suspended: those that already were are not ours to resume."""


@dataclass(frozen=True)
class Request:
    """What somebody asked of the pool's drains: every one waits until that is taken back, or one run stops."""

    kind: Literal["pause", "stop"]
    by: str
    at: str
    holder: str = ""
    """The run that is to stop: a later one is not meant."""

    def __str__(self) -> str:
        return f"{self.by} asked to {self.kind} at {self.at}"


@dataclass(frozen=True)
class Record:
    """One pool's record. Unknown keys written by a newer release survive in `extra`."""

    pool: str
    schema: int = SCHEMA
    serving: str | None = None
    serving_groups: tuple[str, ...] = ()
    pending: str = ""
    """The version that a gate began to bring in; empty once the cutover to it, or back, is complete."""
    replica: Mapping[str, Any] = field(default_factory=dict)
    """How the nodes of the serving version are made, as far as its successor must be like it."""
    states: Mapping[str, str] = field(default_factory=dict)
    """The state of each listed version as of the last complete cutover, for people."""
    phase: str = ""
    frozen: Mapping[str, Frozen] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    request: Request | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)
    """The note of the drain that ran last (drain.note). Only for people: whatever stands there hinders no drain."""
    behind: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By version whose drain was stopped, or is in a batch: controllers (UID) left with fewer ready pods than they had,
    or with pods on the batch's nodes, and how many they had. Forgotten at the end of the drain, or of the way back."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Stable text, so that an unchanged record is an unchanged ConfigMap."""
        body = {
            **self.extra,
            "schema": self.schema,
            "pool": self.pool,
            "serving": self.serving,
            "servingGroups": list(self.serving_groups),
            "pending": self.pending,
            "replica": dict(self.replica),
            "states": dict(self.states),
            "phase": self.phase,
            "frozen": {name: {**vars(was), "suspended": list(was.suspended)} for name, was in self.frozen.items()},
            "evidence": dict(self.evidence),
            "request": vars(self.request) if self.request else None,
            "progress": dict(self.progress),
            "behind": {version: dict(had) for version, had in self.behind.items()},
        }
        return json.dumps(body, sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, pool: str, text: str) -> "Record":
        """Read back what any release wrote; ConfigError if this one cannot act on it."""
        place = f"the record of pool {pool} ({RECORD_NAMESPACE}/{record_name(pool)})"
        try:
            raw = msgspec.json.decode(text, type=dict[str, Any])
            if (schema := raw.get("schema") or 0) > SCHEMA:
                raise ConfigError(
                    f"{place} has schema {schema}, this release reads up to {SCHEMA}: upgrade pulumi-nodepools"
                )
            known = {ours: raw[theirs] for theirs, ours in _KEYS.items() if theirs in raw}
            extra = {key: value for key, value in raw.items() if key not in _KEYS}
            return msgspec.convert({**known, "pool": pool, "extra": extra}, cls)
        except (msgspec.DecodeError, TypeError) as error:
            raise ConfigError(
                f"{place} cannot be read: {error}. It was changed by hand: put back what it was (docs/runbook.md says "
                "what it holds); nothing was done"
            ) from None


_KEYS = {"servingGroups" if one.name == "serving_groups" else one.name: one.name for one in fields(Record)}
del _KEYS["extra"]


class PoolRecord:
    """Access to one pool's record and Lease."""

    def __init__(self, client: Client, pool: str) -> None:
        self._client = client
        self.pool = pool
        self.name = record_name(pool)

    def load(self) -> Record:
        """The record as it is now; an empty one if nothing was ever written."""
        return self._read()[1]

    def update(self, change: Callable[[Record], Record]) -> Record:
        """Apply `change` to the newest record and write it, again from the start whenever another write came first."""
        for _ in range(_ATTEMPTS):
            current, record = self._read()
            wanted = change(record)
            if current is not None and wanted == record:
                return record
            if self._written(current, wanted):
                return wanted
        raise ApiError(
            f"the record {RECORD_NAMESPACE}/{self.name} was changed by others {_ATTEMPTS} times in a row; "
            "see who writes it (`nodepools status`) and run again",
            status=409,
        )

    @contextmanager
    def hold(
        self, *, stop: threading.Event | None = None, timing: lease.Timing | None = None
    ) -> Iterator[lease.LeaseHolder]:
        """Hold the pool for the block; HeldError if another live run has it. `stop` is set if it is lost."""
        with lease.hold(self._client, self.name, stop=stop or threading.Event(), timing=timing) as holder:
            yield holder

    def holder(self) -> str:
        """Who is written in the Lease now, for display; empty if nobody is."""
        return self.held()[0]

    def held(self) -> tuple[str, str]:
        """Who is written in the Lease, and when it was renewed last; both empty if nobody is."""
        try:
            spec = self._client.get(f"{lease.LEASES}/{self.name}")["spec"]
        except ApiError as error:
            if error.status == 404:
                return "", ""
            raise
        holder = spec.get("holderIdentity") or ""
        return holder, (spec.get("renewTime") or "") if holder else ""

    def _read(self) -> tuple[Any, Record]:
        try:
            current = patiently(lambda: self._client.get(f"{CONFIG_MAPS}/{self.name}"))
        except ApiError as error:
            if error.status == 404:
                return None, Record(self.pool)
            raise
        text = (current.get("data") or {}).get(_KEY)
        return current, Record.from_json(self.pool, text) if text else Record(self.pool)

    def _written(self, current: Any, record: Record) -> bool:
        try:
            if current is None:
                metadata = {"name": self.name, "namespace": RECORD_NAMESPACE, "labels": {POOL_LABEL: self.pool}}
                body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
                wanted = {**body, "data": {_KEY: record.to_json()}}
                patiently(lambda: self._client.create(CONFIG_MAPS, wanted))
            else:
                wanted = {**current, "data": {_KEY: record.to_json()}}
                patiently(lambda: self._client.replace(f"{CONFIG_MAPS}/{self.name}", wanted))
        except ApiError as error:
            if error.status in {404, 409}:
                return False
            raise
        return True


def with_phase(record: Record, phase: str) -> Record:
    """The record in another phase."""
    return replace(record, phase=phase)


def all_records(client: Client) -> list[Record]:
    """Every pool that has a record in this cluster, by name."""
    items = client.get(CONFIG_MAPS, labelSelector=POOL_LABEL)["items"]
    records = [
        Record.from_json(item["metadata"]["labels"][POOL_LABEL], text)
        for item in items
        if (text := (item.get("data") or {}).get(_KEY))
    ]
    return sorted(records, key=lambda record: record.pool)
