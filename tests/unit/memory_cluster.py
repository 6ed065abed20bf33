"""Objects of a cluster in memory, refusing what an API server refuses: lost updates, duplicates, missing objects."""

import copy
import json
import threading

from pulumi_nodepools.cluster.client import Response
from pulumi_nodepools.errors import ApiError, ClusterUnreachableError

LISTS = {"nodes", "pods", "configmaps", "poddisruptionbudgets"}
LISTS |= {"deployments", "replicasets", "daemonsets", "statefulsets", "replicationcontrollers"}
LISTS |= {"persistentvolumeclaims", "persistentvolumes", "volumeattachments", "csinodes"}
LISTS |= {"validatingwebhookconfigurations", "mutatingwebhookconfigurations"}


class MemoryCluster:
    """The part of cluster.client.Client that records, leases and hooks use."""

    def __init__(self, uid="uid-of-kube-system"):
        self.cluster_uid = uid
        self.objects = {}
        self.down = False
        self.flaky = False
        """Whether each thing has to be asked for twice, the first time."""
        self._refused = set()
        self.denied = frozenset()
        self._version = 0
        self._lock = threading.Lock()

    def add_node(self, name, instance, *, pool, version, ready=True, **spec):
        labels = {"nodepools.dev/pool": pool, "nodepools.dev/version": version}
        labels["nodepools.dev/validated"] = f"{pool}-{version}"
        body = {
            "metadata": {"name": name, "labels": labels},
            "spec": {"providerID": f"aws:///us-west-2a/{instance}", **spec},
            "status": {
                "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
                "nodeInfo": {"kernelVersion": "3.10.0-1062.4.1.el7.x86_64"},
            },
        }
        return self.create("/api/v1/nodes", body)

    def get(self, path, **query):
        self._answer("get", path)
        if path in self.objects:
            return copy.deepcopy(self.objects[path])
        if path.rsplit("/", 1)[-1] in LISTS:
            return {"metadata": {"resourceVersion": str(self._version)}, "items": self._items(path, query)}
        raise ApiError(f"{path} not found", status=404)

    def can_i(self, verb, resource, *, group="", subresource="", namespace=""):
        self._answer(verb, resource, subresource)
        return f"{verb} {resource}/{subresource}".rstrip("/") not in self.denied

    def list_raw(self, path, **query):
        yield json.dumps(self.get(path, **query)).encode()

    def create(self, path, body):
        with self._lock:
            self._answer("create", path)
            full = f"{path}/{body['metadata']['name']}"
            if full in self.objects:
                raise ApiError(f"{full} already exists", status=409)
            return self._store(full, body)

    def replace(self, path, body, *, timeout=30.0):
        with self._lock:
            self._answer("replace", path)
            if path not in self.objects:
                raise ApiError(f"{path} not found", status=404)
            given = body["metadata"].get("resourceVersion")
            if given and given != self.objects[path]["metadata"]["resourceVersion"]:
                raise ApiError(f"{path} has been modified", status=409)
            return self._store(path, body)

    def request(self, verb, path, *, body, content_type):
        """Raw, and a merge patch is all that is asked for in this way."""
        assert (verb, content_type) == ("PATCH", "application/merge-patch+json")
        with self._lock:
            self._answer(verb, path)
            if path not in self.objects:
                return Response(404, {}, b"{}")
            return Response(200, {}, json.dumps(self._store(path, _merged(self.objects[path], body))).encode())

    def patch(self, path, body):
        answer = self.request("PATCH", path, body=body, content_type="application/merge-patch+json")
        if answer.status != 200:
            raise ApiError(f"{path} not found", status=answer.status)
        return json.loads(answer.body)

    def delete(self, path, body=None):
        with self._lock:
            self._answer("delete", path)
            if self.objects.pop(path, None) is None:
                raise ApiError(f"{path} not found", status=404)

    def _answer(self, *asked):
        if self.down:
            raise ClusterUnreachableError("the API server does not answer")
        if self.flaky and asked not in self._refused:
            self._refused.add(asked)
            raise ApiError("the API server is too busy", status=503)

    def _store(self, path, body):
        self._version += 1
        stored = copy.deepcopy(body)
        stored["metadata"]["resourceVersion"] = str(self._version)
        self.objects[path] = stored
        return copy.deepcopy(stored)

    def _items(self, path, query):
        wanted = [part.partition("=") for part in query.get("labelSelector", "").split(",") if "=" in part]
        return [
            copy.deepcopy(stored)
            for key, stored in self.objects.items()
            if key.rsplit("/", 1)[0] == path and all(_has(stored["metadata"].get("labels", {}), *one) for one in wanted)
        ]


def _has(labels, name, _, value):
    return labels.get(name[:-1]) != value if name.endswith("!") else labels.get(name) == value


def _merged(stored, patch):
    """A merge patch, RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    kept = {key: value for key, value in (stored if isinstance(stored, dict) else {}).items() if key not in patch}
    return kept | {key: _merged((stored or {}).get(key), value) for key, value in patch.items() if value is not None}
