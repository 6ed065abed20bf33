"""Volumes as a drain sees them: which claim is bound to which, and where they are attached. Mutable, no clock.

What a node that lost its pods still holds is asked here; how long that is waited for is drain.detaching's business.
"""

from collections.abc import Iterable, Mapping

from pulumi_nodepools.drain.model import AttachmentView, ClaimView, Diagnosis, PodView, VolumeView, WorldView


class Storage:
    """Claims, volumes and attachments by UID, with attachments also by node and claims by name."""

    def __init__(self) -> None:
        self.claims: dict[str, ClaimView] = {}
        self.volumes: dict[str, VolumeView] = {}
        self.attachments: dict[str, AttachmentView] = {}
        self.limits: dict[str, Mapping[str, int]] = {}
        """By node: how many volumes of which CSI driver it can attach, where that is known."""
        self._bound: dict[tuple[str, str], str] = {}
        self._names: dict[str, str] = {}
        self._on_node: dict[str, dict[str, None]] = {}

    @classmethod
    def of(cls, view: WorldView) -> "Storage":
        """The claims, volumes and limits that were seen at one moment."""
        storage = cls()
        for claim in view.claims:
            storage.put(claim)
        for volume in view.volumes:
            storage.put(volume)
        storage.limits = {node.name: node.limits for node in view.csi_nodes}
        return storage

    def put(self, view: AttachmentView | ClaimView | VolumeView) -> None:
        """Store an object as it is now."""
        match view:
            case AttachmentView():
                self.drop_attachment(view.uid)
                self.attachments[view.uid] = view
                self._on_node.setdefault(view.node, {})[view.uid] = None
            case ClaimView():
                self.claims[view.uid] = view
                self._bound[(view.namespace, view.name)] = view.uid
            case VolumeView():
                self.volumes[view.uid] = view
                self._names[view.name] = view.uid

    def drop_attachment(self, uid: str) -> None:
        """An attachment is no more."""
        old = self.attachments.pop(uid, None)
        if old:
            self._on_node[old.node].pop(uid, None)

    def drop_claim(self, uid: str) -> None:
        """A claim is no more."""
        old = self.claims.pop(uid, None)
        if old and self._bound.get((old.namespace, old.name)) == uid:
            del self._bound[(old.namespace, old.name)]

    def drop_volume(self, uid: str) -> None:
        """A volume is no more."""
        old = self.volumes.pop(uid, None)
        if old and self._names.get(old.name) == uid:
            del self._names[old.name]

    def volumes_of(self, pod: PodView) -> list[VolumeView]:
        """The volumes that a pod's claims are bound to, as far as they exist."""
        claims = (self._bound.get((pod.namespace, name)) for name in pod.claims)
        names = (self.claims[uid].volume for uid in claims if uid)
        return [self.volumes[uid] for uid in (self._names.get(name) for name in names) if uid]

    def tied(self, pod: PodView) -> str:
        """The first of a pod's claims that pods on two nodes could not use at once; empty if there is none."""
        uids = ((name, self._bound.get((pod.namespace, name))) for name in pod.claims)
        return next((name for name, uid in uids if uid is None or self.claims[uid].one_node), "")

    def left_behind(self, node: str, staying: Iterable[PodView]) -> list[AttachmentView]:
        """What is attached to the node for pods that were moved off it.

        Not counted: volumes of pods that are `staying` (of DaemonSets, or skipped), and attachments without a
        PersistentVolume, which nobody takes off.
        """
        here = self._on_node.get(node)
        if not here:
            return []
        kept = {volume.name for pod in staying for volume in self.volumes_of(pod)}
        found = (self.attachments[uid] for uid in here)
        return [view for view in found if view.volume in self._names and view.volume not in kept]


def explain(attachments: Iterable[AttachmentView], seconds: float) -> list[Diagnosis]:
    """Why each of these is waited for, `seconds` after the last pod had left."""
    return [
        Diagnosis(
            "stuck-volume",
            f"volume {view.volume}",
            view.node,
            f"it is still attached {seconds:.0f} s after the last pod had gone (VolumeAttachment {view.name}"
            f"{': ' + view.trouble if view.trouble else ''}); its next pod cannot start elsewhere before",
            "see that the CSI driver's pod on this node and its controller are well, and what unmounting waits for",
            {"attachedSeconds": round(seconds)},
        )
        for view in attachments
    ]
