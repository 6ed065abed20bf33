"""User data of a node, as text: what makes it boot with the required kernel arguments and join only when proved.

Pure: values in, multipart MIME out, the same bytes for the same values; `packed` makes it fit into what EC2 accepts.
Base64 and the launch template belong to the caller.
"""

from pulumi_nodepools.bootstrap.families import FAMILIES, OsFamily
from pulumi_nodepools.bootstrap.mime import MAX_BYTES
from pulumi_nodepools.bootstrap.model import Bootstrap, EksJoin, KubeadmJoin, PartType, UserPart
from pulumi_nodepools.bootstrap.render import REVISION, packed, render, warnings

__all__ = [
    "FAMILIES",
    "MAX_BYTES",
    "REVISION",
    "Bootstrap",
    "EksJoin",
    "KubeadmJoin",
    "OsFamily",
    "PartType",
    "UserPart",
    "packed",
    "render",
    "warnings",
]
