"""One paged list and one watch per kind of object, for the whole cluster, as events of drain.events.

Survives dropped watches (it goes on where it was), expired versions (it lists again and says what is gone) and an API
server that is away (it backs off). What the events mean is the drain's business.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from pulumi_nodepools.cluster import deployments, objects, volumes
from pulumi_nodepools.cluster.client import Client, read_status
from pulumi_nodepools.drain.events import Event, Gone, Kind, Relisted, Seen, WatchBack, WatchLost
from pulumi_nodepools.errors import AccessDeniedError, ApiError, NodePoolsError

_WATCH_SECONDS = 240.0
"""The server ends each watch after this long; a connection that died silently is noticed soon after."""
_BACKOFF = (0.2, 10.0)


class _ListMeta(objects.Raw):
    resource_version: str = ""


class _List(objects.Raw):
    metadata: _ListMeta
    items: list[msgspec.Raw] = msgspec.field(default_factory=list)


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Marked(objects.Raw):
    metadata: objects.Meta


_LIST = msgspec.json.Decoder(_List)
_LINE = msgspec.json.Decoder(_Line)
_MARKED = msgspec.json.Decoder(_Marked)


@dataclass(frozen=True)
class Resource:
    """A kind of object to follow: where it is, how it becomes a view, and by what it is known."""

    name: str
    path: str
    kind: Kind
    view: Callable[[bytes | msgspec.Raw], Any]
    scope: str = ""


def listed(page: bytes) -> list[msgspec.Raw]:
    """The objects on one page of a list, undecoded."""
    return _LIST.decode(page).items


def _decoder(shape: Any, view: Callable[[Any], Any]) -> Callable[[bytes | msgspec.Raw], Any]:
    decode = msgspec.json.Decoder(shape).decode
    return lambda data: view(decode(data))


def _controllers(kind: str, path: str) -> Resource:
    view = _decoder(objects.RawController, lambda raw: objects.controller_view(raw, kind))
    return Resource(path.rsplit("/", 1)[-1], path, "controllers", view, kind)


RESOURCES = (
    Resource("pods", "/api/v1/pods", "pods", _decoder(objects.RawPod, objects.pod_view)),
    Resource("nodes", "/api/v1/nodes", "nodes", _decoder(objects.RawNode, objects.node_view)),
    Resource(
        "poddisruptionbudgets",
        "/apis/policy/v1/poddisruptionbudgets",
        "budgets",
        _decoder(objects.RawBudget, objects.budget_view),
    ),
    _controllers("ReplicaSet", "/apis/apps/v1/replicasets"),
    _controllers("DaemonSet", "/apis/apps/v1/daemonsets"),
    _controllers("StatefulSet", "/apis/apps/v1/statefulsets"),
    _controllers("ReplicationController", "/api/v1/replicationcontrollers"),
    Resource(
        "deployments",
        "/apis/apps/v1/deployments",
        "deployments",
        _decoder(deployments.RawDeployment, deployments.deployment_view),
    ),
    Resource(
        "persistentvolumeclaims",
        "/api/v1/persistentvolumeclaims",
        "claims",
        _decoder(volumes.RawClaim, volumes.claim_view),
    ),
    Resource(
        "persistentvolumes", "/api/v1/persistentvolumes", "volumes", _decoder(volumes.RawVolume, volumes.volume_view)
    ),
    Resource(
        "volumeattachments",
        "/apis/storage.k8s.io/v1/volumeattachments",
        "attachments",
        _decoder(volumes.RawAttachment, volumes.attachment_view),
    ),
)


@dataclass(frozen=True)
class Ready:
    """A resource has been listed completely for the first time."""

    name: str


@dataclass(frozen=True)
class Failed:
    """A resource cannot be followed; `fatal` when no later try can succeed."""

    name: str
    error: Exception
    fatal: bool


_QUICK = 1.0
"""A watch that the server ends sooner than this is not opened again at once."""

Emit = Callable[[Event | Ready | Failed], None]


class Watcher(threading.Thread):
    """Follows one resource until it is closed, or with `once` only lists it."""

    def __init__(self, client: Client, resource: Resource, emit: Emit, *, once: bool = False) -> None:
        super().__init__(name=f"watch-{resource.name}", daemon=True)
        self._client = client
        self._resource = resource
        self._emit = emit
        self._once = once
        self._closed = threading.Event()
        self._end_stream: Callable[[], None] | None = None
        self._version = ""
        self._ready = False
        self._failing = False

    def close(self) -> None:
        """End the thread soon; it may still emit one event."""
        self._closed.set()
        end = self._end_stream
        if end:
            try:
                end()
            except (OSError, RuntimeError, ValueError):
                return  # the stream had just ended by itself

    def run(self) -> None:
        """List, watch, and begin again from where that is possible."""
        failures = 0
        while not self._closed.is_set() and not (self._once and self._ready):
            try:
                self._follow()
                failures = 0
            except (NodePoolsError, msgspec.DecodeError) as error:
                failures += 1
                if isinstance(error, AccessDeniedError):
                    self._emit(Failed(self._resource.name, error, fatal=True))
                    return
                self._recover(error, failures)
            except Exception as error:  # noqa: BLE001 -- a thread that dies in silence leaves the drain blind
                self._emit(Failed(self._resource.name, error, fatal=True))
                return

    def _follow(self) -> None:
        """One list if it is needed, and one watch."""
        if not self._version:
            self._list()
        if self._once:
            return
        began = time.monotonic()
        self._watch()
        if time.monotonic() < began + _QUICK:
            self._closed.wait(_BACKOFF[0])

    def _recover(self, error: Exception, failures: int) -> None:
        if isinstance(error, ApiError) and error.status == 410:
            self._version = ""
            if failures == 1:
                return
        self._tell(error)
        first, most = _BACKOFF
        self._closed.wait(min(most, first * 2.0 ** min(failures, 10)) * random.uniform(0.7, 1.0))

    def _tell(self, error: Exception) -> None:
        if self._closed.is_set():
            return
        self._failing = True
        self._emit(Failed(self._resource.name, error, fatal=False))
        self._emit(WatchLost(self._resource.kind))

    def _heard(self) -> None:
        if self._failing:
            self._failing = False
            self._emit(WatchBack(self._resource.kind))

    def _list(self) -> None:
        keys: set[str] = set()
        version = ""
        for page in self._client.list_raw(self._resource.path):
            listed = _LIST.decode(page)
            version = listed.metadata.resource_version
            for item in listed.items:
                view = self._resource.view(item)
                keys.add(_key(view, self._resource.kind))
                self._emit(Seen(view))
        self._emit(Relisted(self._resource.kind, frozenset(keys), self._resource.scope))
        self._version = version
        if not self._ready:
            self._ready = True
            self._emit(Ready(self._resource.name))

    def _watch(self) -> None:
        lines = self._client.watch_lines(
            self._resource.path,
            resource_version=self._version,
            timeout_seconds=_WATCH_SECONDS * random.uniform(0.8, 1.0),
            opened=self._opened,
        )
        try:
            for line in lines:
                if self._closed.is_set():
                    return
                self._take(line)
        finally:
            self._end_stream = None
            lines.close()

    def _opened(self, end: Callable[[], None]) -> None:
        self._end_stream = end
        self._heard()

    def _take(self, line: bytes) -> None:
        self._heard()
        event = _LINE.decode(line)
        if event.type == "ERROR":
            status = read_status(bytes(event.object))
            message = f"watch of {self._resource.name}: {status.code} {status.message}"
            raise ApiError(message, status=status.code, reason=status.reason)
        self._version = _MARKED.decode(event.object).metadata.resource_version
        if event.type == "BOOKMARK":
            return
        view = self._resource.view(event.object)
        if event.type == "DELETED":
            self._emit(Gone(self._resource.kind, _key(view, self._resource.kind)))
        else:
            self._emit(Seen(view))


def _key(view: Any, kind: Kind) -> str:
    return str(view.name if kind == "nodes" else view.uid)
