"""The attach/detach controller with its CSI driver: volumes follow their pods, one node at a time.

Pods with the label VOLUMES become ready only once all their volumes are attached to their node (kwok's `pod-ready`
looks for the annotation ATTACHED). A volume is detached DETACH seconds after the last pod that used it there has gone,
but FORCED seconds after that if its node went too: nobody can say any more that it was unmounted.
"""

from collections.abc import Iterator

from pulumi_nodepools.cluster.client import Client
from pulumi_nodepools.errors import ApiError
from sandbox.aws import CLOCK
from sandbox.controllers.loop import Controller
from sandbox.recorder import NODES
from sandbox.watching import Object

VOLUMES = "sandbox.nodepools.dev/volumes"
ATTACHED = "sandbox.nodepools.dev/attached"
DETACH = 30.0 / CLOCK
FORCED = 360.0 / CLOCK
PODS = "/api/v1/pods"
CLAIMS = "/api/v1/persistentvolumeclaims"
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
_DRIVER = "ebs.csi.aws.com"
_ENDED = ("Succeeded", "Failed")


class AttachmentController(Controller):
    """`abandoned` are volumes whose node went before they were detached; `detach` is in seconds."""

    def __init__(self, client: Client, *, detach: float = DETACH) -> None:
        super().__init__(client, (PODS, CLAIMS, ATTACHMENTS, NODES))
        self.abandoned: set[str] = set()
        self._wait = detach
        self._unused: dict[str, float] = {}
        """Since when each attachment is used by nobody."""

    def look(self, now: float) -> None:
        """Attach what pods on nodes need, and detach what no pod needs any more."""
        where = {item["spec"]["source"]["persistentVolumeName"]: item for item in self.items(ATTACHMENTS)}
        used: set[tuple[str, str]] = set()
        for pod in self.items(PODS):
            if VOLUMES in (pod["metadata"].get("labels") or {}) and pod["spec"].get("nodeName"):
                volumes, node = list(self._volumes(pod)), pod["spec"]["nodeName"]
                used.update((volume, node) for volume in volumes)
                self._attach(pod, volumes, where)
        self._detach(where, used, now)

    def _volumes(self, pod: Object) -> Iterator[str]:
        claims = {
            f"{item['metadata']['namespace']}/{item['metadata']['name']}": item["spec"].get("volumeName", "")
            for item in self.items(CLAIMS)
        }
        for volume in pod["spec"].get("volumes") or []:
            if "persistentVolumeClaim" in volume:
                yield claims[f"{pod['metadata']['namespace']}/{volume['persistentVolumeClaim']['claimName']}"]

    def _attach(self, pod: Object, volumes: list[str], where: dict[str, Object]) -> None:
        node, metadata = pod["spec"]["nodeName"], pod["metadata"]
        if metadata.get("deletionTimestamp") or pod["status"].get("phase") in _ENDED:
            return
        for volume in volumes:
            if volume not in where:
                spec = {"attacher": _DRIVER, "nodeName": node, "source": {"persistentVolumeName": volume}}
                made = {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "spec": spec}
                self._try("POST", ATTACHMENTS, made | {"metadata": {"name": f"csi-{volume}"}})
        attached = all(where.get(each, {}).get("spec", {}).get("nodeName") == node for each in volumes)
        if attached and ATTACHED not in (metadata.get("annotations") or {}):
            path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
            self._try("PATCH", path, {"metadata": {"annotations": {ATTACHED: "true"}}})

    def _detach(self, where: dict[str, Object], used: set[tuple[str, str]], now: float) -> None:
        nodes = {node["metadata"]["name"] for node in self.items(NODES)}
        for volume, attachment in where.items():
            name, node = attachment["metadata"]["name"], attachment["spec"]["nodeName"]
            if node not in nodes:
                self.abandoned.add(volume)
            elif (volume, node) in used:
                self._unused.pop(name, None)
                continue
            since = self._unused.setdefault(name, now)
            if now >= since + (self._wait if node in nodes else FORCED):
                self._try("DELETE", f"{ATTACHMENTS}/{name}", None)
                self.forget(ATTACHMENTS, attachment)  # its node may go before the watch tells
                del self._unused[name]

    def _try(self, method: str, path: str, body: Object | None) -> None:
        """What failed is tried again at the next look."""
        answer = self.client.request(method, path, body=body, content_type=_TYPES.get(method, "application/json"))
        if answer.status not in (200, 201, 202, 404, 409):
            raise ApiError(f"{method} {path}: {answer.status}", status=answer.status)


_TYPES = {"PATCH": "application/merge-patch+json"}
