"""The groups of a version as hooks are told of them: made by this stack, or seen by the survey and made elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from pulumi_nodepools.aws.groups import GroupView
from pulumi_nodepools.node_pool import NodePool


@dataclass(frozen=True)
class VersionGroups:
    """`refs` are `{name, arn}`, `nodes` how many nodes the groups want."""

    names: list[str]
    refs: list[dict[str, Any]]
    nodes: pulumi.Output[int]
    resources: Sequence[pulumi.Resource] = ()
    """What must be there before, and outlive, whatever works on them."""
    limits: Mapping[str, list[int]] = field(default_factory=dict)

    @classmethod
    def made(cls, nodes: NodePool) -> "VersionGroups":
        """Those of a NodePool of this stack."""
        wanted = [group.desired_capacity for group in nodes.groups]
        total = pulumi.Output.all(*wanted).apply(lambda counts: sum(int(count or 0) for count in counts))
        refs = [{"name": group.name, "arn": group.arn} for group in nodes.groups]
        return cls(nodes.group_names, refs, total, nodes.groups, nodes.limits)

    @classmethod
    def seen(cls, views: Sequence[GroupView], before: Sequence[pulumi.Resource] = ()) -> "VersionGroups":
        """Those that exist without being resources of this stack, or must not become an edge to one."""
        total = pulumi.Output.from_input(sum(view.desired for view in views))
        refs = [{"name": view.name, "arn": view.arn} for view in views]
        return cls([view.name for view in views], refs, total, before)
