"""Any Kubernetes object under server-side apply, with the waits that the real provider makes for workloads."""

import time
from collections.abc import Callable, Collection
from typing import Any

from sandbox.plugins.host import Context, Kind, PluginError, Props
from sandbox.plugins.kubernetes_api import ApiServer, told
from sandbox.plugins.values import has_unknown

APPLY = "application/apply-patch+yaml"
MANAGER = "pulumi-kubernetes"
AUTO_NAMED = "pulumi.com/autonamed"
SKIP_AWAIT = "pulumi.com/skipAwait"
INPUTS = "__inputs"
READY_TIMEOUT = 300.0
POLL = 0.25
OURS = ("id", INPUTS)
IMMUTABLE = {
    "Job": ("spec.template", "spec.selector", "spec.completions"),
    "Deployment": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "ClusterRoleBinding": ("roleRef",),
    "RoleBinding": ("roleRef",),
}


class KubernetesObject(Kind):
    """One object; its inputs are kept beside what the server answers, to compare the next program with."""

    def __init__(self, connect: Callable[[], ApiServer]) -> None:
        self._connect = connect

    @property
    def _api(self) -> ApiServer:
        return self._connect()

    def name_in_check(self, urn_name: str, suffix: str, news: Props, olds: Props) -> None:
        """Give the object a name when the program did not; the same one as before on every later run."""
        metadata = news.setdefault("metadata", {})
        if has_unknown(metadata) or metadata.get("name") or metadata.get("generateName"):
            return
        before = olds.get("metadata") or {}
        automatic = (before.get("annotations") or {}).get(AUTO_NAMED) == "true"
        metadata["name"] = before["name"] if automatic else f"{urn_name}-{suffix}"
        metadata["annotations"] = {**(metadata.get("annotations") or {}), AUTO_NAMED: "true"}

    def compare(self, state: Props, news: Props, ignored: Collection[str] = ()) -> dict[str, bool]:
        olds = state.get(INPUTS) or {}
        changed = {
            key: False
            for key in {*olds, *news}
            if key not in ignored and (has_unknown(news.get(key)) or olds.get(key) != news.get(key))
        }
        identity = ("apiVersion", "kind", "metadata.name", "metadata.namespace")
        for path in (*identity, *IMMUTABLE.get(str(news.get("kind")), ())):
            top = path.partition(".")[0]
            old, new = _at(olds, path), _at(news, path)
            if top in changed and old != new and not (path == "apiVersion" and _group(old) == _group(new)):
                changed[top] = True
        return changed

    def create(self, props: Props, context: Context) -> tuple[str, Props]:
        what = _called(props)
        path = self._path(props)
        status, _ = self._api.request("GET", path)
        if status == 200:
            raise PluginError(f'resource {what} was not successfully created: "{what}" already exists')
        live = self._apply(path, props)
        resource_id = "/".join(filter(None, (live["metadata"].get("namespace"), live["metadata"]["name"])))
        try:
            live = self._await_ready(path, live, context)
        except PluginError as error:
            raise PluginError(str(error), partial=(resource_id, _outputs(live, props))) from None
        return resource_id, _outputs(live, props)

    def read(self, resource_id: str, state: Props, context: Context) -> Props | None:  # noqa: ARG002
        status, live = self._api.request("GET", self._path(state))
        if status == 404:
            return None
        if status != 200:
            raise PluginError(f"reading {_called(state)}: {told(status, live)}")
        # What the program wrote, with the values that are there now: a hand's change shows in the next preview.
        return _outputs(live, _overlay(state.get(INPUTS) or {}, live))

    def update(self, resource_id: str, olds: Props, news: Props, context: Context) -> Props:  # noqa: ARG002
        path = self._path(news)
        live = self._await_ready(path, self._apply(path, news), context)
        return _outputs(live, news)

    def delete(self, resource_id: str, state: Props, context: Context) -> None:  # noqa: ARG002
        path = self._path(state)
        status, answer = self._api.request("DELETE", path, {"propagationPolicy": "Foreground"})
        if status not in (200, 202, 404):
            raise PluginError(f"deleting {_called(state)}: {told(status, answer)}")
        deadline = time.monotonic() + (context.timeout or READY_TIMEOUT)
        while self._api.request("GET", path)[0] == 200:
            if time.monotonic() > deadline:
                raise PluginError(f"deleting {_called(state)}: it is still there; its finalizers are not done")
            time.sleep(POLL)

    def _path(self, props: Props) -> str:
        metadata = props["metadata"]
        return self._api.path(props["apiVersion"], props["kind"], metadata.get("namespace"), metadata["name"])

    def _apply(self, path: str, props: Props) -> Props:
        query = f"?fieldManager={MANAGER}&fieldValidation=Strict&force=true"
        body = {key: value for key, value in props.items() if key not in OURS and key != "status"}
        status, answer = self._api.request("PATCH", path + query, body, APPLY)
        if status not in (200, 201):
            raise PluginError(f"server-side apply of {_called(props)}: {told(status, answer)}")
        live: Props = answer
        return live

    def _await_ready(self, path: str, live: Props, context: Context) -> Props:
        annotations = live["metadata"].get("annotations") or {}
        if annotations.get(SKIP_AWAIT) == "true":
            return live
        timeout = context.timeout or READY_TIMEOUT
        deadline = time.monotonic() + timeout
        while (reason := _not_ready(live)) is not None:
            if time.monotonic() > deadline:
                raise PluginError(f"{_called(live)} did not become ready within {timeout:g} s: {reason}")
            time.sleep(POLL)
            status, answer = self._api.request("GET", path)
            if status != 200:
                raise PluginError(f"waiting for {_called(live)}: {told(status, answer)}")
            live = answer
        return live


def _not_ready(live: Props) -> str | None:
    """What the object still waits for; None when it is ready or of a kind that is ready at once."""
    status = live.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    if live["kind"] == "Job":
        if conditions.get("Failed", {}).get("status") == "True":
            raise PluginError(f"{_called(live)} failed: {conditions['Failed'].get('message', '')}")
        done = conditions.get("Complete", {}).get("status") == "True"
        return None if done else f"{status.get('active', 0)} pods active, {status.get('failed', 0)} failed"
    wanted = {
        "Deployment": (live.get("spec", {}).get("replicas", 1), "availableReplicas", "updatedReplicas"),
        "DaemonSet": (status.get("desiredNumberScheduled"), "numberReady", "updatedNumberScheduled"),
    }.get(live["kind"])
    if wanted is None:
        return None
    count, ready, updated = wanted
    if status.get("observedGeneration", 0) < live["metadata"].get("generation", 0) or count is None:
        return "the controller has not seen it yet"
    have = min(status.get(ready, 0), status.get(updated, 0))
    return None if have >= count else f"{have} of {count} pods ready"


def _outputs(live: Props, inputs: Props) -> Props:
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    kept = {key: value for key, value in inputs.items() if key not in OURS}
    return {**live, "metadata": metadata, INPUTS: kept}


def _overlay(given: Any, live: Any) -> Any:
    """`given` with the live value at each of its leaves."""
    if isinstance(given, dict) and isinstance(live, dict):
        return {key: _overlay(value, live.get(key)) for key, value in given.items() if key in live}
    if isinstance(given, list) and isinstance(live, list) and len(given) == len(live):
        return [_overlay(left, right) for left, right in zip(given, live, strict=True)]
    return live


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _group(api_version: Any) -> str:
    return str(api_version).rpartition("/")[0]


def _called(props: Props) -> str:
    metadata = props.get("metadata") or {}
    name = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
    return f"{props.get('kind')} {name}"
