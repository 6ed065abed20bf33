"""The Kubernetes API for the kubernetes stand-in: configuration, discovery, and errors in the server's own words."""

import importlib
import json
import os
from pathlib import Path
from typing import Any

import yaml

from sandbox.plugins.host import PluginError, Props

TIMEOUT = 30.0


class ApiServer:
    """One cluster, by kubeconfig text or file and context."""

    def __init__(self, settings: Props) -> None:
        # The official client loads all of its models: too slow for the start of a plugin that may only preview.
        config: Any = importlib.import_module("kubernetes.config")
        given, context = settings.get("kubeconfig"), settings.get("context")
        try:
            if given and not _is_file(given):
                self._client = config.new_client_from_config_dict(yaml.safe_load(given), context=context)
            else:
                path = given or os.environ.get("KUBECONFIG")
                self._client = config.new_client_from_config(config_file=path, context=context)
        except (config.ConfigException, yaml.YAMLError, OSError) as error:
            raise PluginError(f"unable to load Kubernetes client configuration from kubeconfig: {error}") from None
        self.namespace = settings.get("namespace") or "default"
        self._plurals: dict[tuple[str, str], tuple[str, bool]] = {}

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """(status, decoded answer); PluginError only when there is no answer."""
        import urllib3

        headers = {"Accept": "application/json", "Content-Type": content_type}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        try:
            answer = self._client.rest_client.pool_manager.request(
                method,
                self._client.configuration.host + path,
                headers=headers,
                body=None if body is None else json.dumps(body),
                timeout=TIMEOUT,
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise PluginError(f"configured Kubernetes cluster is unreachable: {error}") from None
        return int(answer.status), json.loads(answer.data) if answer.data else {}

    def path(self, api_version: str, kind: str, namespace: str | None, name: str = "") -> str:
        """Where objects of a kind live; PluginError names the kind that the server does not have."""
        root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        plural, namespaced = self._resource(root, api_version, kind)
        scope = f"/namespaces/{namespace or self.namespace}" if namespaced else ""
        return f"{root}{scope}/{plural}" + (f"/{name}" if name else "")

    def namespaced(self, api_version: str, kind: str) -> bool:
        root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        return self._resource(root, api_version, kind)[1]

    def _resource(self, root: str, api_version: str, kind: str) -> tuple[str, bool]:
        key = (api_version, kind)
        if key not in self._plurals:
            status, answer = self.request("GET", root)
            for each in answer.get("resources", []) if status == 200 else []:
                if "/" not in each["name"]:
                    self._plurals[(api_version, each["kind"])] = (each["name"], bool(each["namespaced"]))
        if key not in self._plurals:
            raise PluginError(f'no matches for kind "{kind}" in version "{api_version}"')
        return self._plurals[key]


def _is_file(text: str) -> bool:
    return "\n" not in text and Path(text).expanduser().is_file()


def told(status: int, answer: Any) -> str:
    """The server's message for a failed request."""
    message = answer.get("message") if isinstance(answer, dict) else None
    return str(message or f"HTTP {status}")
