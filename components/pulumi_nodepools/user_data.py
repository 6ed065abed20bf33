"""From what a user wrote to what a node is told: the values of `bootstrap`, and the whole text for a look at it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulumi_nodepools import documents, names
from pulumi_nodepools.args import ClusterArgs, NodeArgs
from pulumi_nodepools.bootstrap import FAMILIES, Bootstrap, packed, render, warnings
from pulumi_nodepools.config import parse
from pulumi_nodepools.errors import ConfigError


def bootstrap_of(
    cluster: ClusterArgs, nodes: NodeArgs, *, pool: str, version: str, group: str, endpoint: str, authority: str
) -> Bootstrap:
    """The values of one version; `endpoint` and `authority` are the cluster's, once they are known."""
    return Bootstrap(
        cluster=cluster.name,
        endpoint=endpoint,
        certificate_authority=authority,
        join=cluster.join,
        region=cluster.region,
        pool=pool,
        version=version,
        group=group,
        labels=dict(nodes.labels),
        taints=(*nodes.taints, *([f"{names.STARTUP_TAINT}:NoSchedule"] if nodes.startup_taint else [])),
        kernel_arguments=tuple(nodes.kernel_arguments),
        minimum_kernel=nodes.minimum_kernel,
        kubelet_arguments=tuple(nodes.kubelet_arguments),
        user_parts=tuple(nodes.user_parts),
    )


def require_renderable(cluster: ClusterArgs, pool: str, versions: Mapping[str, NodeArgs]) -> None:
    """ConfigError when user data of a version cannot be made or is too large, unless the cluster is an output yet."""
    endpoint, authority = cluster.endpoint, cluster.certificate_authority
    if not isinstance(endpoint, str) or not isinstance(authority, str):
        return
    for version, nodes in versions.items():
        group = names.group_name(cluster.name, pool, version)
        made = bootstrap_of(
            cluster, nodes, pool=pool, version=version, group=group, endpoint=endpoint, authority=authority
        )
        packed(made, render(nodes.os_family, made))


def from_stack_file(file: Path, pool: str, version: str, family: str = "") -> tuple[str, tuple[str, ...]]:
    """User data of a version as a stack's YAML has it, and warnings; `family` in place of the version's own."""
    config = _config(file)
    written = {key: config[f"nodepools:{key}"] for key in ("cluster", "pools") if f"nodepools:{key}" in config}
    parsed = parse(written, file.parent)
    listed = {(one, other) for one, found in parsed.pools.items() for other in found.versions}
    if (pool, version) not in listed:
        known = ", ".join(f"{one}/{other}" for one, other in sorted(listed))
        raise ConfigError(f"{file} has no version {version!r} of a pool {pool!r}; it has {known}")
    region = config.get("aws:region")
    if not isinstance(region, str):
        raise ConfigError(f"{file} has no aws:region, which user data needs")
    cluster = ClusterArgs.from_config(parsed.cluster, region)
    nodes = NodeArgs.from_config(parsed.pools[pool], version)
    if family and family not in FAMILIES:
        raise ConfigError(f"family {family!r} is not known; use one of {', '.join(FAMILIES)}")
    made = bootstrap_of(
        cluster,
        nodes,
        pool=pool,
        version=version,
        group=names.group_name(cluster.name, pool, version),
        endpoint=parsed.cluster.endpoint,
        authority=parsed.cluster.certificate_authority,
    )
    text = render(family or nodes.os_family, made)
    size = len(packed(made, text))
    told = warnings(family or nodes.os_family, made)
    return text, (*told, f"ships compressed: {len(text)} bytes, {size} with gzip") if size < len(text) else told


def _config(file: Path) -> Mapping[str, Any]:
    try:
        config = documents.read_yaml(file)["config"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(f"{file} is not a stack's configuration (Pulumi.<stack>.yaml): {error}") from None
    if not isinstance(config, Mapping):
        raise ConfigError(f"{file}: config is not a map")
    return config
