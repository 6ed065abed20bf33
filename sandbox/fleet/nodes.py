"""Nodes as a kubelet registers them, and as a cloud controller removes them. Readiness afterwards is kwok's."""

import shlex
from typing import Any, Protocol

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from sandbox.fleet.cloud import Instance

CAPACITY = {"cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi"}
"""Of every instance type: that of an m5.2xlarge."""
DEAD = "sandbox.nodepools.dev/dead"
UNREACHABLE = (ApiException, HTTPError, OSError, config.ConfigException)


class Nodes(Protocol):
    """Where Nodes are written. Every method may raise one of UNREACHABLE and is then tried again."""

    def register(self, node: dict[str, Any]) -> None: ...

    def remove(self, name: str, provider_id: str) -> None: ...

    def kill(self, name: str) -> None: ...


def provider_id(instance: Instance) -> str:
    return f"aws:///{instance.zone}/{instance.id}"


def make_node(instance: Instance, *, kernel: str, kubelet_arguments: str, region: str) -> dict[str, Any]:
    """The Node that a kubelet with these arguments registers; it cannot tell that it is Ready yet."""
    labels, taints = _registration(kubelet_arguments)
    own = {
        "kubernetes.io/hostname": instance.dns,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": instance.type,
        "topology.kubernetes.io/region": region,
        "topology.kubernetes.io/zone": instance.zone,
    }
    addresses = [{"type": "InternalIP", "address": instance.address}, {"type": "Hostname", "address": instance.dns}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": instance.dns,
            "labels": {**labels, **own},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {"providerID": provider_id(instance), "taints": taints},
        "status": {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "addresses": addresses,
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "simulated",
                "kernelVersion": kernel,
                "kubeProxyVersion": "",
                "kubeletVersion": "v1.37.2",
                "machineID": instance.id,
                "operatingSystem": "linux",
                "osImage": "CentOS Linux 7 (Core)",
                "systemUUID": "",
            },
        },
    }


def _registration(kubelet_arguments: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Labels and taints of the flags; a label given twice has its last value."""
    labels: dict[str, str] = {}
    taints: list[dict[str, str]] = []
    for word in shlex.split(kubelet_arguments):
        flag, _, value = word.partition("=")
        if flag == "--node-labels":
            labels.update({key: text for key, _, text in (pair.partition("=") for pair in value.split(",") if pair)})
        elif flag == "--register-with-taints":
            taints += [_taint(text) for text in value.split(",") if text]
    return labels, taints


def _taint(text: str) -> dict[str, str]:
    what, _, effect = text.rpartition(":")
    key, _, value = what.partition("=")
    return {"key": key, "value": value, "effect": effect}


class ClusterNodes:
    """Nodes of a real API server, reached by a kubeconfig."""

    def __init__(self, kubeconfig: str) -> None:
        self._kubeconfig = kubeconfig
        self._core: Any = None

    def register(self, node: dict[str, Any]) -> None:
        """Create the Node. One of the same name that another instance left behind is replaced."""
        name = node["metadata"]["name"]
        try:
            self._api().create_node(node, _request_timeout=10)
        except ApiException as error:
            if error.status != 409:
                raise
            there = self._api().read_node(name, _request_timeout=10)
            if there.spec.provider_id != node["spec"]["providerID"]:
                self._api().delete_node(name, _request_timeout=10)
                raise  # tried again, by then it is gone

    def remove(self, name: str, provider_id: str) -> None:
        """Delete the Node unless it is gone or by now another instance's."""
        try:
            if self._api().read_node(name, _request_timeout=10).spec.provider_id == provider_id:
                self._api().delete_node(name, _request_timeout=10)
        except ApiException as error:
            if error.status != 404:
                raise

    def kill(self, name: str) -> None:
        """Make the Node NotReady for ever."""
        self._api().patch_node(name, {"metadata": {"annotations": {DEAD: "true"}}}, _request_timeout=10)

    def _api(self) -> Any:
        if self._core is None:  # the API server may come up after the fleet
            made = config.new_client_from_config(self._kubeconfig)  # type: ignore[no-untyped-call]
            self._core = client.CoreV1Api(made)
        return self._core
