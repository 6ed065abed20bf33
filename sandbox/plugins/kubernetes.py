"""Stand-in for `pulumi-resource-kubernetes`: any object of the real API server, by discovery and server-side apply.

    python -m sandbox.plugins.kubernetes [engine address]

The cluster is the provider's `kubeconfig` (text or path) and `context`, else $KUBECONFIG. Not known here: patches of
objects that others own, Helm, Kustomize, YAML files, lists.
"""

import threading
from importlib.metadata import version

from pulumi.provider.experimental import provider as api

from sandbox.plugins.host import Kind, Plugin, PluginError, Props, serve, suffix_of
from sandbox.plugins.kubernetes_api import ApiServer
from sandbox.plugins.kubernetes_object import KubernetesObject
from sandbox.plugins.values import has_unknown, plain_map, wrap_map

ELSEWHERE = ("kubernetes:helm", "kubernetes:yaml", "kubernetes:kustomize")
SETTINGS = {
    "context",
    "deleteUnreachable",
    "enableConfigMapMutable",
    "enableSecretMutable",
    "enableServerSideApply",
    "kubeconfig",
    "namespace",
    "suppressDeprecationWarnings",
    "version",
}


class Kubernetes(Plugin):
    """The package kubernetes."""

    package = "kubernetes"

    def __init__(self) -> None:
        self._settings: Props | None = None
        self._server: ApiServer | None = None
        self._lock = threading.Lock()

    def kind(self, token: str) -> Kind:
        name = token.rpartition(":")[2]
        if name.endswith(("Patch", "List")) or token.startswith(
            ("kubernetes:helm", "kubernetes:yaml", "kubernetes:kust")
        ):
            raise PluginError(f"the sandbox's kubernetes plugin does not know {token}: only single objects")
        return KubernetesObject(self._connected)

    def _connected(self) -> ApiServer:
        if self._settings is None:
            raise PluginError("the kubernetes provider is not configured yet: its kubeconfig is not known in preview")
        with self._lock:
            if self._server is None:
                self._server = ApiServer(self._settings)
            return self._server

    def set_up(self, settings: Props) -> None:
        self._settings = None if has_unknown(settings) else settings

    async def check_config(self, request: api.CheckRequest) -> api.CheckResponse:
        unknown = set(plain_map(request.new_inputs)) - SETTINGS
        failures = [
            api.CheckFailure(
                name, f"the sandbox's stand-in does not know {name!r}; it knows {', '.join(sorted(SETTINGS))}"
            )
            for name in sorted(unknown)
        ]
        return api.CheckResponse(request.new_inputs, failures)

    async def check(self, request: api.CheckRequest) -> api.CheckResponse:
        news, olds = plain_map(request.new_inputs), plain_map(request.old_inputs)
        failures = [api.CheckFailure(key, "is required") for key in ("apiVersion", "kind") if key not in news]
        KubernetesObject(self._connected).name_in_check(request.name, suffix_of(request.random_seed), news, olds)
        return api.CheckResponse(wrap_map(news), failures)

    async def create(self, request: api.CreateRequest) -> api.CreateResponse:
        if request.preview:
            return api.CreateResponse(None, request.properties)
        return await super().create(request)

    async def update(self, request: api.UpdateRequest) -> api.UpdateResponse:
        if request.preview:
            return api.UpdateResponse({**request.olds, **request.news})
        return await super().update(request)

    async def read(self, request: api.ReadRequest) -> api.ReadResponse:
        answer = await super().read(request)
        if not answer.resource_id:
            return answer
        inputs = plain_map(answer.properties).get("__inputs", {})
        return api.ReadResponse(answer.resource_id, answer.properties, wrap_map(inputs))


if __name__ == "__main__":
    serve(Kubernetes(), version("pulumi-kubernetes"))
