"""What the API knows of volumes to the slim views of drain.model. Pure, as cluster.objects is."""

import msgspec

from pulumi_nodepools.cluster.objects import Meta, NodeSelector, Raw, terms
from pulumi_nodepools.drain.model import AttachmentView, ClaimView, CsiNodeView, VolumeView

_EBS = "ebs.csi.aws.com"
"""Attaches what was written before there were CSI drivers, too."""
_ON_MANY_NODES = frozenset({"ReadWriteMany", "ReadOnlyMany"})


class ClaimSpec(Raw):
    volume_name: str = ""
    access_modes: list[str] | None = None


class RawClaim(Raw):
    metadata: Meta
    spec: ClaimSpec = msgspec.field(default_factory=ClaimSpec)


class VolumeAffinity(Raw):
    required: NodeSelector | None = None


class CsiSource(Raw):
    driver: str = ""


class VolumeSpec(Raw):
    node_affinity: VolumeAffinity | None = None
    csi: CsiSource | None = None
    aws_elastic_block_store: CsiSource | None = None


class RawVolume(Raw):
    metadata: Meta
    spec: VolumeSpec = msgspec.field(default_factory=VolumeSpec)


class AttachmentSource(Raw):
    persistent_volume_name: str = ""


class AttachmentSpec(Raw):
    node_name: str = ""
    source: AttachmentSource = msgspec.field(default_factory=AttachmentSource)


class AttachmentError(Raw):
    message: str = ""


class AttachmentStatus(Raw):
    detach_error: AttachmentError | None = None


class RawAttachment(Raw):
    metadata: Meta
    spec: AttachmentSpec = msgspec.field(default_factory=AttachmentSpec)
    status: AttachmentStatus = msgspec.field(default_factory=AttachmentStatus)


class Allocatable(Raw):
    count: int | None = None


class NodeDriver(Raw):
    name: str
    allocatable: Allocatable | None = None


class CsiNodeSpec(Raw):
    drivers: list[NodeDriver] | None = None


class RawCsiNode(Raw):
    metadata: Meta
    spec: CsiNodeSpec = msgspec.field(default_factory=CsiNodeSpec)


def claim_view(raw: RawClaim) -> ClaimView:
    """The view of a PersistentVolumeClaim."""
    meta = raw.metadata
    shared = not _ON_MANY_NODES.isdisjoint(raw.spec.access_modes or ())
    one_pods = any(owner.kind == "Pod" for owner in meta.owner_references or ())
    return ClaimView(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        volume=raw.spec.volume_name,
        one_node=not (shared or one_pods),  # one that is made for a pod alone is made anew for the next
    )


def volume_view(raw: RawVolume) -> VolumeView:
    """The view of a PersistentVolume."""
    where = raw.spec.node_affinity
    return VolumeView(
        name=raw.metadata.name,
        uid=raw.metadata.uid,
        affinity=terms(where.required if where else None),
        driver=raw.spec.csi.driver if raw.spec.csi else _EBS if raw.spec.aws_elastic_block_store else "",
    )


def attachment_view(raw: RawAttachment) -> AttachmentView:
    """The view of a VolumeAttachment."""
    failed = raw.status.detach_error
    return AttachmentView(
        name=raw.metadata.name,
        uid=raw.metadata.uid,
        node=raw.spec.node_name,
        volume=raw.spec.source.persistent_volume_name,
        trouble=failed.message if failed else "",
    )


def csi_node_view(raw: RawCsiNode) -> CsiNodeView:
    """The view of a CSINode."""
    numbers = ((one.name, one.allocatable.count) for one in raw.spec.drivers or () if one.allocatable)
    return CsiNodeView(name=raw.metadata.name, limits={name: most for name, most in numbers if most is not None})
