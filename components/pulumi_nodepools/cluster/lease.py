"""The pool's Lease: one holder at a time, fenced, renewed in the background, taken over only from the dead.

Liveness of a foreign holder is judged as client-go does: its `renewTime` must stand still for a whole lease duration
by *our* monotonic clock. Clocks of two hosts are never compared. One that ran on this host and has ended is succeeded
at once. Holders inside this process queue for each other.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pulumi_nodepools.cluster import identity
from pulumi_nodepools.cluster.asking import passes, patiently, pause
from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.errors import ApiError, HeldError, NodePoolsError
from pulumi_nodepools.names import NOTE_ANNOTATION, RECORD_NAMESPACE

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{RECORD_NAMESPACE}/leases"
_PROCESS = identity.of_this_process()
_QUEUES: dict[tuple[str, str], threading.Lock] = {}
_QUEUES_GUARD = threading.Lock()


def holder_identity() -> str:
    """Who this process is in a Lease."""
    return _PROCESS


@dataclass(frozen=True)
class Timing:
    """Seconds: how long a silent holder counts as alive, and how often a live one speaks."""

    duration: float = 15.0
    renew: float = 5.0
    patient: bool = True
    """Whether a holder that lives is waited for as long as one that died, before it is refused."""

    @property
    def again(self) -> float:
        """How soon a renewal that got no answer is tried again."""
        return self.renew / 5

    @property
    def deadline(self) -> float:
        """After so long without a renewal the holder must stop: well before another may take over."""
        return self.duration * 2 / 3


class Pulse:
    """Whether the holder of a Lease that others watch still lives, judged as a take-over judges it."""

    def __init__(self, timing: Timing | None = None) -> None:
        self._timing = timing or Timing()
        self._seen = ("", "")
        self._since = 0.0

    def beats(self, holder: str, renewed: str, now: float) -> bool:
        """False if nobody holds it, or one who has ended or not renewed it; `now` in seconds of a monotonic clock."""
        if (holder, renewed) != self._seen:
            self._seen, self._since = (holder, renewed), now
        return bool(holder) and now - self._since <= self._timing.duration and not identity.known_dead(holder)


class LeaseHolder:
    """The Lease while it is ours. `lost` says why when it no longer is."""

    def __init__(self, client: Client, name: str, lease: dict[str, Any], timing: Timing, stop: threading.Event) -> None:
        self._client = client
        self._name = name
        self._lease = lease
        self._timing = timing
        self._stop = stop
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._renewed = time.monotonic()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{name}", daemon=True)
        self.lost = ""

    def check(self) -> None:
        """Prove with the API server that the Lease is still ours; HeldError if not. Call before anything is changed."""
        with self._lock:
            while not self.lost and not self._renewed_now():
                pause(self._timing.again)
        if self.lost:
            raise HeldError(self.lost)

    def start(self) -> None:
        """Begin renewing in the background."""
        self._thread.start()

    def release(self) -> None:
        """Give the Lease up so that the next holder need not wait for it to run out."""
        self._released.set()
        self._thread.join()
        with self._lock:
            if self.lost:
                return
            # It runs out by itself; failing a finished drain for it would be worse.
            with suppress(NodePoolsError):
                self._free()

    def _free(self) -> None:
        patiently(self._renew)  # an answer that went missing has left us with an old version
        if not self.lost:
            freed = {**self._lease, "spec": {**self._lease["spec"], "holderIdentity": ""}}
            patiently(lambda: self._client.replace(f"{LEASES}/{self._name}", freed))

    def _keep(self) -> None:
        wait = self._timing.renew
        while not self._released.wait(wait) and not self.lost:
            with self._lock, suppress(NodePoolsError):
                wait = self._timing.renew if self._renewed_now() else self._timing.again

    def _renewed_now(self) -> bool:
        """One try; a failure that passes is False, and the end of the Lease once it has lasted for the deadline."""
        try:
            self._renew()
        except NodePoolsError as error:
            if time.monotonic() - self._renewed >= self._timing.deadline:
                self._lose(f"could not be renewed for {self._timing.deadline:.0f} s: {error}")
            elif not passes(error):
                raise
            return False
        return True

    def _renew(self) -> None:
        spec = {**self._lease["spec"], "renewTime": _now()}
        # A server that takes the request and never answers must not hide that the Lease has run out.
        left = self._renewed + self._timing.deadline - time.monotonic()
        timeout = max(self._timing.again, min(self._timing.renew / 2, left))
        try:
            self._lease = self._client.replace(f"{LEASES}/{self._name}", {**self._lease, "spec": spec}, timeout=timeout)
        except ApiError as error:
            if error.status not in {404, 409}:
                raise
            self._settle(error)
        self._renewed = time.monotonic()

    def _settle(self, error: ApiError) -> None:
        """A refused renewal: lost if somebody else holds the Lease; ours if only an answer to us went missing."""
        current = _get(self._client, self._name) if error.status == 409 else None
        holder = current["spec"].get("holderIdentity", "") if current else ""
        if current and holder == _PROCESS:
            self._lease = current
        else:
            self._lose(f"was taken by {holder}" if holder else "was deleted or released by somebody else")

    def _lose(self, why: str) -> None:
        self.lost = (
            f"the Lease {RECORD_NAMESPACE}/{self._name} {why}; nothing more is started here. Run again when "
            "the other run has ended: it resumes where this one stopped"
        )
        self._stop.set()


def noted(client: Client, name: str) -> tuple[str, str]:
    """Who is written in a Lease now, and what it is held for; both empty if nobody holds it."""
    current = patiently(lambda: _get(client, name)) or {}
    holder = current.get("spec", {}).get("holderIdentity") or ""
    note = (current.get("metadata", {}).get("annotations") or {}).get(NOTE_ANNOTATION, "")
    return holder, note if holder else ""


@contextmanager
def hold(
    client: Client, name: str, *, stop: threading.Event, timing: Timing | None = None, note: str = ""
) -> Iterator[LeaseHolder]:
    """Hold the Lease for the block. Waits for this process's own holders and for a silent foreign one to run out.

    HeldError if a foreign holder is alive. `stop` is set when the Lease is lost. `note` tells others why.
    """
    timing = timing or Timing()
    with _queue(client.cluster_uid, name):
        holder = LeaseHolder(client, name, _acquire(client, name, timing, note), timing, stop)
        holder.start()
        try:
            yield holder
        finally:
            holder.release()


def _queue(cluster: str, name: str) -> threading.Lock:
    with _QUEUES_GUARD:
        return _QUEUES.setdefault((cluster, name), threading.Lock())


def _acquire(client: Client, name: str, timing: Timing, note: str = "") -> dict[str, Any]:
    """Observe, then take. A write that loses a race is followed by a new observation.

    Patience with a living holder is for a plugin whose engine was killed: it needs a few seconds until it knows, and
    the next run may come sooner.
    """
    observed: tuple[str, str] | None = None
    began = since = time.monotonic()
    while True:
        current = patiently(lambda: _get(client, name))
        spec = current["spec"] if current else {}
        holder, seen = spec.get("holderIdentity") or "", (spec.get("holderIdentity") or "", spec.get("renewTime") or "")
        patience = float(spec.get("leaseDurationSeconds") or timing.duration)
        silent = seen == observed and time.monotonic() - since > patience
        if current is None or holder in {"", _PROCESS} or silent or identity.known_dead(holder):
            taken = _take(client, name, current, timing, note)
            if taken:
                return taken
        elif observed not in {None, seen} and (not timing.patient or time.monotonic() - began > patience):
            raise HeldError(
                f"{holder} holds the Lease {RECORD_NAMESPACE}/{name} and is alive (it renewed it at {seen[1]}); "
                "wait until that run has ended, or end it, and run again. Nothing was changed"
            )
        if seen != observed:
            observed, since = seen, time.monotonic()
        time.sleep(min(1.0, timing.renew / 4))


def _take(
    client: Client, name: str, current: dict[str, Any] | None, timing: Timing, note: str
) -> dict[str, Any] | None:
    """The Lease as ours, or None if somebody was faster."""
    spec = {
        "holderIdentity": _PROCESS,
        "leaseDurationSeconds": max(1, round(timing.duration)),
        "acquireTime": _now(),
        "renewTime": _now(),
        "leaseTransitions": ((current or {}).get("spec", {}).get("leaseTransitions") or 0) + (1 if current else 0),
    }
    taken: dict[str, Any] | None = _unless_raced(lambda: patiently(lambda: _write(client, name, current, spec, note)))
    return taken


def _write(client: Client, name: str, current: dict[str, Any] | None, spec: dict[str, Any], note: str) -> Any:
    notes = {NOTE_ANNOTATION: note} if note else {}
    if current:
        metadata = current["metadata"]
        kept = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **notes}}
        return client.replace(f"{LEASES}/{name}", {**current, "metadata": kept, "spec": spec})
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": RECORD_NAMESPACE, "annotations": notes},
        "spec": spec,
    }
    return client.create(LEASES, body)


def _unless_raced(write: Callable[[], Any]) -> Any:
    try:
        return write()
    except ApiError as error:
        if error.status in {404, 409}:
            return None
        raise


def _get(client: Client, name: str) -> Any:
    try:
        return client.get(f"{LEASES}/{name}")
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
