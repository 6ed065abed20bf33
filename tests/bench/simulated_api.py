"""A stand-in for an API server with more nodes than one machine can run: it answers at once and never refuses wrongly.

Lists in pages, watches, node patches, evictions under budgets, and controllers and kubelets that take a tenth of a
second each. It is as fast as one process can be, so that what is measured is the drain in front of it, not itself; it
knows no conflicts, no admission and no scheduler. The first line on its standard output is its address.
"""

import argparse
import asyncio
import itertools
import json
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PODS_PER_NODE = 30
DELAY = 0.1
"""Seconds that a pod takes to end, and one to become ready."""
_PATHS = {
    "pods": "/api/v1/pods",
    "nodes": "/api/v1/nodes",
    "poddisruptionbudgets": "/apis/policy/v1/poddisruptionbudgets",
    "replicasets": "/apis/apps/v1/replicasets",
}
_KINDS = {path: kind for kind, path in _PATHS.items()}
_NO_SUCH = {"kind": "Status", "code": 404, "reason": "NotFound", "message": "not here"}
_HELD = {
    "kind": "Status",
    "code": 429,
    "reason": "TooManyRequests",
    "message": "Cannot evict pod as it would violate the pod's disruption budget.",
    "details": {"causes": [{"reason": "DisruptionBudget", "message": "needs more healthy pods"}]},
}
_PADDING = [{"name": f"VARIABLE_{index}", "value": "x" * 40} for index in range(24)]
"""Pods of real clusters have two to three kB of what a drain does not read."""


class Api:
    """The objects, and everything that was ever said of them."""

    def __init__(self, nodes: int, peers: int, *, budgets: bool) -> None:
        self.objects: dict[str, dict[str, Any]] = {kind: {} for kind in _PATHS}
        self.stored: dict[str, Any] = {}
        self.log: dict[str, list[tuple[int, str, Any]]] = {kind: [] for kind in _PATHS}
        self.changed = defaultdict(asyncio.Event)
        self.serial, self.version = itertools.count(1), 0
        self.ready: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.peers, self.budgets = peers, budgets
        for pool in ("old", "new"):
            for index in range(nodes):
                self._put("nodes", _node(f"{pool}-{index}", pool))
        for index in range(nodes * PODS_PER_NODE):
            app = f"app-{index // peers}"
            if index % peers == 0:
                self._put("replicasets", _replica_set(app, min(peers, nodes * PODS_PER_NODE - index)))
            self._start(app, f"old-{index % nodes}", ready=True)
        for app in list(self.objects["replicasets"]):
            self._tell_budget(app)

    # -- controllers and kubelets
    def _put(self, kind: str, body: dict[str, Any]) -> None:
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        name = body["metadata"]["name"]
        self._say(kind, "MODIFIED" if name in self.objects[kind] else "ADDED", body)
        self.objects[kind][name] = body

    def _say(self, kind: str, what: str, body: dict[str, Any]) -> None:
        self.log[kind].append((self.version, what, body))
        waiting, self.changed[kind] = self.changed[kind], asyncio.Event()
        waiting.set()

    def _start(self, app: str, node: str, *, ready: bool) -> None:
        pod = _pod(f"{app}-{next(self.serial)}", app, node, ready=ready)
        self._put("pods", pod)
        self.ready[app] += ready
        if not ready:
            asyncio.get_running_loop().call_later(DELAY, self._become_ready, app, pod)

    def _become_ready(self, app: str, pod: dict[str, Any]) -> None:
        self._put("pods", _pod(pod["metadata"]["name"], app, pod["spec"]["nodeName"], ready=True))
        self.ready[app] += 1
        self._tell_budget(app)

    def _tell_budget(self, app: str) -> None:
        if self.budgets:
            size = self.objects["replicasets"][app]["spec"]["replicas"]
            self._put("poddisruptionbudgets", _budget(app, size, self.ready[app]))

    def evict(self, name: str) -> tuple[int, Any]:
        """What the eviction API says."""
        pod = self.objects["pods"].get(name)
        if pod is None:
            return 404, _NO_SUCH
        app = pod["metadata"]["labels"]["app"]
        budget = self.objects["poddisruptionbudgets"].get(app)
        if budget and not budget["status"]["disruptionsAllowed"]:
            return 429, _HELD
        self.ready[app] -= 1
        leaving = {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": "2030-01-01T00:00:00Z"}}
        self._put("pods", leaving)
        self._tell_budget(app)
        asyncio.get_running_loop().call_later(DELAY, self._end, app, name)
        return 201, {"kind": "Status", "status": "Success"}

    def _end(self, app: str, name: str) -> None:
        pod = self.objects["pods"].pop(name)
        self.version += 1
        gone = {**pod, "metadata": {**pod["metadata"], "resourceVersion": str(self.version)}}
        self._say("pods", "DELETED", gone)
        self._start(app, pod["spec"]["nodeName"].replace("old", "new"), ready=False)

    # -- answers
    def answer(self, verb: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """One request that is no watch."""
        if path.endswith("/eviction"):
            return self.evict(path.split("/")[-2])
        if path == "/api/v1/namespaces/kube-system":
            return 200, {"metadata": {"name": "kube-system", "uid": "simulated"}}
        if "accessreviews" in path:
            return 201, {**body, "status": {"allowed": True}}
        if verb == "GET" and path in _KINDS:
            return 200, self._page(_KINDS[path], query)
        if verb == "PATCH" and path.startswith(f"{_PATHS['nodes']}/"):
            return self._patch_node(path.rsplit("/", 1)[-1], body)
        return self._record(verb, path, body)

    def _page(self, kind: str, query: dict[str, str]) -> Any:
        key, _, value = query.get("labelSelector", "").partition("=")
        found = [
            body for body in self.objects[kind].values() if not key or body["metadata"]["labels"].get(key) == value
        ]
        first = int(query.get("continue") or 0)
        last = first + int(query.get("limit") or len(found) or 1)
        more = {"continue": str(last)} if last < len(found) else {}
        return {"metadata": {"resourceVersion": str(self.version), **more}, "items": found[first:last]}

    def _patch_node(self, name: str, patch: Any) -> tuple[int, Any]:
        node = self.objects["nodes"][name]
        meta, given = node["metadata"], patch.get("metadata", {})
        annotations = {**meta.get("annotations", {}), **(given.get("annotations") or {})}
        labels = {**meta["labels"], **(given.get("labels") or {})}
        changed = {
            **node,
            "metadata": {**meta, "annotations": annotations, "labels": labels},
            "spec": {**node["spec"], **patch.get("spec", {})},
        }
        self._put("nodes", changed)
        return 200, changed

    def _record(self, verb: str, path: str, body: Any) -> tuple[int, Any]:
        """Leases, records and events: kept as they come. Lists of anything else are empty."""
        if verb == "GET":
            empty = {"metadata": {"resourceVersion": str(self.version)}, "items": []}
            return (
                (404, _NO_SUCH)
                if "/namespaces/" in path and path not in self.stored
                else (200, self.stored.get(path, empty))
            )
        full = path if verb == "PUT" else f"{path}/{body['metadata'].get('name', '')}"
        self.stored[full] = body
        return 201, body

    async def watch(self, kind: str, since: int) -> AsyncIterator[bytes]:
        """Everything after a version, and whatever comes."""
        log = self.log.get(kind, [])
        place = next((index for index, entry in enumerate(log) if entry[0] > since), len(log))
        while True:
            waiting = self.changed[kind]
            if place < len(log):
                found = log[place : place + 200]
                place += len(found)
                yield b"".join(json.dumps({"type": what, "object": body}).encode() + b"\n" for _, what, body in found)
            else:
                await waiting.wait()


def _node(name: str, pool: str) -> dict[str, Any]:
    ready = [{"type": "Ready", "status": "True"}]
    status = {"allocatable": {"cpu": "64", "memory": "256Gi", "pods": "250"}, "conditions": ready}
    labels = {"kubernetes.io/hostname": name, "pool": pool}
    return {"metadata": {"name": name, "uid": f"u-{name}", "labels": labels}, "spec": {}, "status": status}


def _pod(name: str, app: str, node: str, *, ready: bool) -> dict[str, Any]:
    owner = {"kind": "ReplicaSet", "apiVersion": "apps/v1", "name": app, "uid": f"u-{app}", "controller": True}
    meta = {"name": name, "namespace": "prod", "uid": f"u-{name}", "labels": {"app": app}, "ownerReferences": [owner]}
    container = {"name": "main", "image": "example.com/app:1", "resources": {"requests": {"cpu": "100m"}}}
    status = {"phase": "Running" if ready else "Pending", "conditions": [{"type": "Ready", "status": str(ready)}]}
    return {
        "metadata": meta,
        "spec": {"nodeName": node, "containers": [{**container, "env": _PADDING}]},
        "status": status,
    }


def _replica_set(app: str, size: int) -> dict[str, Any]:
    return {"metadata": {"name": app, "namespace": "prod", "uid": f"u-{app}"}, "spec": {"replicas": size}}


def _budget(app: str, size: int, ready: int) -> dict[str, Any]:
    needed = size - max(1, size // 10)
    return {
        "metadata": {"name": app, "namespace": "prod", "uid": f"b-{app}", "generation": 1},
        "spec": {"minAvailable": needed, "selector": {"matchLabels": {"app": app}}},
        "status": {
            "observedGeneration": 1,
            "disruptionsAllowed": max(0, ready - needed),
            "currentHealthy": ready,
            "desiredHealthy": needed,
            "expectedPods": size,
        },
    }


async def _serve(api: Api, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, kept open."""
    while head := await _head(reader):
        verb, target, length = head
        body = json.loads(await reader.readexactly(length)) if length else None
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        api.requests[verb] += 1
        if query.get("watch"):
            await _stream(writer, api.watch(_KINDS.get(url.path, ""), int(query.get("resourceVersion") or 0)))
        elif url.path == "/count":
            _write(writer, 200, {"requests": sum(api.requests.values()) - 1})
        else:
            _write(writer, *api.answer(verb, url.path, query, body))
        await writer.drain()
    writer.close()


async def _head(reader: asyncio.StreamReader) -> tuple[str, str, int] | None:
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    verb, target, _ = lines[0].split(" ")
    return verb, target, int(headers.get("content-length", 0))


def _write(writer: asyncio.StreamWriter, status: int, body: Any) -> None:
    text = json.dumps(body).encode()
    writer.write(
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode()
    )
    writer.write(text)


async def _stream(writer: asyncio.StreamWriter, chunks: AsyncIterator[bytes]) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    async for chunk in chunks:
        writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        try:
            await writer.drain()
        except ConnectionError:
            return


async def main(say: Callable[[str], Any] = sys.stdout.write) -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nodes", type=int)
    parser.add_argument("--peers", type=int, default=10, help="pods of one workload")
    parser.add_argument("--budgets", action="store_true")
    options = parser.parse_args()
    api = Api(options.nodes, options.peers, budgets=options.budgets)
    server = await asyncio.start_server(lambda *ends: _serve(api, *ends), "127.0.0.1", 0, limit=2**22)
    say(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
