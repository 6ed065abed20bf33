"""What a group's tags tell the cluster autoscaler about nodes that are not there yet: their labels and taints. Pure.

Without them the autoscaler does not know a group of 0 nodes, and takes tainted nodes for free ones. Whether it manages
a group at all is the user's choice, by the tags that it is told to look for.
"""

from collections.abc import Collection, Iterable, Mapping

from pulumi_nodepools import names
from pulumi_nodepools.errors import ConfigError

PREFIX = "k8s.io/cluster-autoscaler/"
MAX_KEY = 128
MAX_TAGS = 50
"""What AWS takes of one group, and in one key."""

_OWN_TAGS = 5
"""Those that every group of this library has: Name, cluster (twice), pool and version."""


def node_template(
    pool: str, version: str, *, labels: Mapping[str, str], taints: Iterable[str], tags: Collection[str]
) -> dict[str, str]:
    """Tags for the labels and taints of a version; {} when no key of the user's `tags` offers the group.

    Of two taints with one key the autoscaler knows the last only. ConfigError when AWS takes none as long or as many.
    """
    if not any(key.startswith(PREFIX) for key in tags):
        return {}
    every = {**labels, **names.version_labels(pool, version)}
    found = {f"{PREFIX}node-template/label/{key}": value for key, value in every.items()}
    for taint in taints:
        body, _, effect = taint.rpartition(":")
        key, _, value = body.partition("=")
        found[f"{PREFIX}node-template/taint/{key}"] = f"{value}:{effect}"
    _require_fits(found, len({*found, *tags}) + _OWN_TAGS)
    return found


def _require_fits(found: Collection[str], count: int) -> None:
    longest = max(found, key=len)
    if len(longest) > MAX_KEY:
        raise ConfigError(
            f"tag {longest} for the cluster autoscaler has {len(longest)} characters, AWS takes {MAX_KEY}: shorten "
            f"that label or taint, or take the tags {PREFIX}... out"
        )
    if count > MAX_TAGS:
        raise ConfigError(
            f"the group would have {count} tags, AWS takes {MAX_TAGS}: each label and each taint is one more for the "
            f"cluster autoscaler; leave some labels, taints or tags out"
        )
