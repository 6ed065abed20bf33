"""What a user wrote of a version, in the form that its lock compares. Rendered text is never part of it."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import pulumi

from pulumi_nodepools import names
from pulumi_nodepools.args import BlueGreenNodePoolArgs, ClusterArgs, NodeArgs
from pulumi_nodepools.bootstrap import FAMILIES, EksJoin, KubeadmJoin
from pulumi_nodepools.drain.model import Taint
from pulumi_nodepools.drain.preflight import Successor
from pulumi_nodepools.replica import comparable, differences, require_replica
from pulumi_nodepools.survey import Survey

_ARM = re.compile(r"(a1|[a-z]+\d+g[a-z]*)\..*")
"""Instance types with AWS's own processors: `g` follows the generation."""


def planned(args: BlueGreenNodePoolArgs) -> Successor | None:
    """What the nodes of the active version will be like, as far as it says so; None of one that is adopted."""
    nodes = args.versions.get(args.active)
    if nodes is None:
        return None
    labels = {**nodes.labels, **names.version_labels(args.pool, args.active)}
    if isinstance(nodes.instance_type, str):
        labels["node.kubernetes.io/instance-type"] = nodes.instance_type
        labels["kubernetes.io/arch"] = "arm64" if _ARM.fullmatch(nodes.instance_type) else "amd64"
    return Successor(args.active, labels, tuple(map(_taint, nodes.taints)))


def _taint(written: str) -> Taint:
    body, _, effect = written.rpartition(":")
    key, _, value = body.partition("=")
    return Taint(key, effect, value)


def spec(cluster: ClusterArgs, nodes: NodeArgs) -> dict[str, Any]:
    """What the user wrote of a version, in canonical form: no defaults, so that a new release can change those."""
    join = cluster.join
    volume = nodes.root_volume
    written: dict[str, Any] = {
        "imageId": nodes.image_id,
        "osFamily": nodes.os_family,
        "instanceType": nodes.instance_type,
        "subnetIds": sorted(map(str, nodes.subnet_ids)),
        "securityGroupIds": list(nodes.security_group_ids),
        "instanceProfile": nodes.instance_profile,
        "kernel": {"arguments": list(nodes.kernel_arguments), "minimumVersion": nodes.minimum_kernel},
        "kubelet": {"arguments": list(nodes.kubelet_arguments)},
        "userData": {
            part.name: f"{number}. {part.type} {_digest(part.content)}"
            for number, part in enumerate(nodes.user_parts, start=1)
        },
        "labels": dict(nodes.labels),
        "taints": sorted(nodes.taints),
        "tags": dict(nodes.tags),
        "rootVolume": {
            "size": volume.size,
            "type": volume.type,
            "iops": volume.iops,
            "kmsKeyId": volume.kms_key_id,
            "device": volume.device,
        },
        "zones": "each" if nodes.zones == "each" else None,
        "spot": nodes.spot or None,
        "associatePublicIp": nodes.associate_public_ip or None,
        "startupTaint": nodes.startup_taint or None,
        "cluster": {
            "endpoint": cluster.endpoint,
            # Its digest: readable in an error, and enough to see a change.
            "certificateAuthority": pulumi.Output.from_input(cluster.certificate_authority).apply(_digest),
            "join": "kubeadm" if isinstance(join, KubeadmJoin) else "eks",
            "tokenParameter": (join.token_parameter or None) if isinstance(join, KubeadmJoin) else None,
            "tokenSecret": (join.token_secret or None) if isinstance(join, KubeadmJoin) else None,
            # Only where it matters: adding it for a new family must not change versions that are there.
            "serviceCidr": join.service_cidr
            if isinstance(join, EksJoin) and FAMILIES[nodes.os_family].needs_service_cidr
            else None,
            "caCertHashes": sorted(join.ca_cert_hashes) if isinstance(join, KubeadmJoin) else None,
        },
    }
    return _without_empty(written)


def written(args: BlueGreenNodePoolArgs) -> dict[str, Any]:
    """What of the active version its successor must be like; nothing is known of an adopted one."""
    nodes = args.versions.get(args.active)
    return comparable(spec(args.cluster, nodes)) if nodes else {}


def require_like_serving(args: BlueGreenNodePoolArgs, found: Survey) -> None:
    """ConfigError for a difference between the active version and the serving one that nobody has acknowledged.

    Asked only before the active version is made: the way back to one that exists is never barred.
    """
    if args.active in found.existing or not found.replica:
        return
    seen = list(differences(found.replica, written(args)))
    require_replica(args.pool, args.active, str(found.serving), seen, args.differences)
    for _, text in seen:
        pulumi.log.warn(f"pool {args.pool}: {text}, as acknowledged")


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: _without_empty(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    # Outputs have no truth value, and are always something that was written.
    return {
        key: value for key, value in kept.items() if isinstance(value, pulumi.Output) or value not in (None, [], {})
    }


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]
