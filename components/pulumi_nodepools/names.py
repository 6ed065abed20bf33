"""Names that others rely on: labels, tags, annotations, physical names. Pure; part of the state contract."""

import re

from pulumi_nodepools.errors import ConfigError

POOL_LABEL = "nodepools.dev/pool"
VERSION_LABEL = "nodepools.dev/version"
VALIDATED_LABEL = "nodepools.dev/validated"
"""Put on a node at registration by the validator alone: the evidence that the node proved its kernel arguments."""
CLUSTER_TAG = "nodepools.dev/cluster"
OWNER_ANNOTATION = "nodepools.dev/cordoned-by"
"""Value `<pool>/<version>`: the node was cordoned by this library and may be uncordoned by it."""
DRAINING_TAINT = "nodepools.dev/draining"
EXCLUSION_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"
EXCLUDED_VALUE = "nodepools.dev"
"""The value of that label where it is ours: any other one is somebody else's, and stays."""
OUT_OF_SERVICE_TAINT = "node.kubernetes.io/out-of-service"
"""Kubernetes' own: nothing runs on this node any more, so its pods are deleted and its volumes detached at once."""
RELEASED_ANNOTATION = "nodepools.dev/released-by"
"""Value `<pool>/<version>`: that taint was set by this library, and is taken off again when the node is back."""
LEFT_ANNOTATION = "nodepools.dev/left-load-balancers"
"""On a drained node, as a JSON list: where its instance was registered before, see aws.rejoining."""
QUARANTINE_LABEL = "nodepools.dev/quarantined"
"""On a node whose time ran out and that the drain left as it was."""
REFUSED_TAG = "nodepools.dev/refused"
"""On an instance (tag) or a node (annotation) that was refused by its validator: the reason."""
STARTUP_TAINT = "startup-taint.cluster-autoscaler.kubernetes.io/nodepools"
"""Keeps pods off a node until the startup validator has proved it; the cluster autoscaler knows the prefix."""
CANARY_TAINT = "nodepools.dev/canary"
"""On the nodes of a canary, with its version as value: only what tolerates it runs there."""
CANARY_SUFFIX = "-canary"
DRAIN_ANNOTATION = "nodepools.dev/drain"
"""On a pod, what its owner wishes: `wait-completed` or `skip`."""
SURGE_ANNOTATION = "nodepools.dev/replaces"
"""In the pod template of a Deployment that a drain asked for a rollout: the UID of the pod that is to be replaced."""

SOAK_LABEL = "nodepools.dev/soak"
"""On a pod of a soak: `canary`, or `baseline` for the same job on the old nodes."""
KERNEL_CONDITION = "NodepoolsKernelSignature"
"""The node condition by which a kernel watcher says that it is there, and what it has found."""
SOAK_NAMESPACE = "nodepools-soak"
EVIDENCE_KEY = "evidence.json"
"""Where in its ConfigMap the evidence of a soak stands."""
ORDER_ANNOTATION = "nodepools.dev/drain-order"
"""On a pod, a whole number from -1000 to 1000: on each node lower ones leave first; without it a pod has 0."""

LAUNCH_HOOK = "nodepools-validate"
RECORD_NAMESPACE = "kube-system"
DRAIN_LEASE = "nodepools.drain"
"""Held by whoever drains in the cluster. The dot keeps it from being the record of a pool."""
NOTE_ANNOTATION = "nodepools.dev/held-for"
"""On a Lease: what its holder does, for those who wait."""
UNMANAGED = "unmanaged"
"""In the place of a pool's name for nodes that belong to none: two drains by hand must not interleave either."""
DRAIN_SKIP_VARIABLE = "NODEPOOLS_DRAIN_SKIP"

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,38}[a-z0-9])?")
MAX_NAME = 40


def require_name(kind: str, value: str) -> str:
    """Return `value` if it can stand in AWS names, Kubernetes labels and object names; raise ConfigError if not."""
    if not _NAME.fullmatch(value):
        raise ConfigError(
            f"{kind} {value!r} cannot be used as a name: lower-case letters, digits, '-' and '.', "
            f"at most {MAX_NAME} characters, beginning and ending with a letter or digit"
        )
    return value


def logical_name(pool: str, version: str) -> str:
    """The Pulumi name of one version of a pool; suffixes are added to it."""
    return f"{pool}-{version}"


def group_name(cluster: str, pool: str, version: str, zone: str | None = None) -> str:
    """The fixed physical name of a version's Auto Scaling group (and, without zone, of its launch template)."""
    return "-".join(part for part in (cluster, pool, version, zone) if part)


def record_name(pool: str) -> str:
    """Name of the pool's Lease and ConfigMap in the record namespace."""
    return f"nodepools-{pool}"


def canary_name(version: str) -> str:
    """What the canary of a version is called wherever a version is named: groups, labels, records, hooks."""
    return version + CANARY_SUFFIX


def canary_taint(version: str) -> str:
    """The taint of a canary's nodes, as a kubelet registers it; `version` without the suffix."""
    return f"{CANARY_TAINT}={version}:NoSchedule"


def evidence_name(pool: str, version: str) -> str:
    """Name of the ConfigMap with a soak's evidence, in the soak namespace."""
    return f"evidence-{pool}-{version}"


def version_labels(pool: str, version: str) -> dict[str, str]:
    """The labels that every node of a version has beside those of its user."""
    return {POOL_LABEL: pool, VERSION_LABEL: version, VALIDATED_LABEL: validated_value(pool, version)}


def validated_value(pool: str, version: str) -> str:
    """Value of the evidence label: ties the proof to one version."""
    return f"{pool}-{version}"


def partition(region: str) -> str:
    """The part of AWS that a region belongs to, as ARNs name it."""
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rpartition("-")[0].rpartition("-")[0], "aws")
