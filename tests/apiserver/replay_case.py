"""The odd pods of other drains' test tables, as real objects: owned, finished, static, in all combinations."""

from tests.apiserver.drain_case import pod_spec, workload

EMPTY_DIR = {"volumes": [{"name": "scratch", "emptyDir": {}}]}
SLOW = {"sandbox.nodepools.dev/stop-delay": "4"}
FOR_EVER = {"sandbox.nodepools.dev/run-time": "100000"}
BRIEFLY = {"sandbox.nodepools.dev/run-time": "0.3"}


def bare(cluster, space, name, node, *, owner=None, annotations=None, labels=None, finalizers=(), **spec):
    """A pod that the test makes itself, perhaps owned by an object that is there."""
    metadata = {"name": name, "annotations": annotations or {}, "labels": {"app": name, **(labels or {})}}
    metadata["finalizers"] = list(finalizers)
    if owner:
        metadata["ownerReferences"] = [owner]
    body = {"metadata": metadata, "spec": pod_spec(nodeName=node, **spec)}
    return cluster.request("POST", f"/api/v1/namespaces/{space}/pods", body)["metadata"]["uid"]


def finish(cluster, space, name, phase):
    """Its containers have ended."""
    path = f"/api/v1/namespaces/{space}/pods/{name}/status"
    ready = {"type": "Ready", "status": "False"}
    cluster.request("PATCH", path, {"status": {"phase": phase, "conditions": [ready]}})


def job(cluster, space, name, annotations, **spec):
    template = workload(name, 1, annotations=annotations, restartPolicy="Never", **spec)["template"]
    path = f"/apis/batch/v1/namespaces/{space}/jobs"
    cluster.request("POST", path, {"metadata": {"name": name}, "spec": {"template": template}})


def replication_controller(cluster, space, name, **spec):
    body = workload(name, 1, **spec)
    body["selector"] = body["selector"]["matchLabels"]
    cluster.request(
        "POST", f"/api/v1/namespaces/{space}/replicationcontrollers", {"metadata": {"name": name}, "spec": body}
    )


def daemon_set(cluster, space, name, **spec):
    body = workload(name, 1, **spec)
    del body["replicas"]
    path = f"/apis/apps/v1/namespaces/{space}/daemonsets"
    return cluster.request("POST", path, {"metadata": {"name": name}, "spec": body})["metadata"]["uid"]


def retired_daemon_set(cluster, space, name):
    """A DaemonSet whose controller no longer acts, as it is being deleted: its pods can be finished by a test."""
    body = workload(name, 1, nodeSelector={"nowhere": "true"})
    del body["replicas"]
    path = f"/apis/apps/v1/namespaces/{space}/daemonsets"
    metadata = {"name": name, "finalizers": ["tests.nodepools.dev/hold"]}
    made = cluster.request("POST", path, {"metadata": metadata, "spec": body})
    cluster.request("DELETE", f"{path}/{name}")
    return owned_by("apps/v1", "DaemonSet", name, made["metadata"]["uid"])


def owned_by(version, kind, name, uid):
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": True}


def release(cluster, space, name):
    """Take all finalizers off a pod."""
    cluster.request("PATCH", f"/api/v1/namespaces/{space}/pods/{name}", {"metadata": {"finalizers": None}})


class Replay:
    """What became of the pods of one pool: their names before and after, and what the drain said of them."""

    def __init__(self, cluster, spaces):
        self._cluster, self._spaces = cluster, spaces
        self.before = {uid: name for name, uid in self._uids()}
        self._names = {
            f"{space}/{pod['metadata']['name']}": _app(pod) for space in spaces for pod in cluster.pods(space)
        }
        self.after, self.report, self.error = {}, None, ""

    def _uids(self):
        for space in self._spaces:
            for pod in self._cluster.pods(space):
                yield _app(pod), pod["metadata"]["uid"]

    def ended(self, report, error=""):
        self.report, self.error = report, error
        self.after = {uid: name for name, uid in self._uids()}
        return self

    def left(self, app):
        """Whether the very pods that were there are still there."""
        return {uid for uid, name in self.before.items() if name == app} <= set(self.after)

    def outcome(self, app):
        mine = {uid for uid, name in self.before.items() if name == app}
        assert mine, f"there was no pod of {app}"
        return {pod.outcome for pod in self.report.pods if pod.uid in mine}

    def attempts(self, app):
        mine = {uid for uid, name in self.before.items() if name == app}
        return sum(pod.attempts for pod in self.report.pods if pod.uid in mine)

    def reasons(self, app):
        """What the drain said about an app: of its pods, or why they were left alone."""
        said = [(entry.object.removeprefix("pod "), entry.reason) for entry in self.report.diagnosis]
        said += [(pod, why) for pod, _, why in self.report.skipped]
        return [why for pod, why in said if self._names.get(pod) == app]


def _app(pod):
    return pod["metadata"].get("labels", {}).get("app", pod["metadata"]["name"])
