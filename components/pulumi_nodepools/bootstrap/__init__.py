"""User data of a node, as text: what makes it boot with the required kernel arguments and join only when proved.

Pure: values in, multipart MIME out, the same bytes for the same values. Compression, base64 and the launch template
belong to the caller.
"""

from pulumi_nodepools.bootstrap.families import FAMILIES, OsFamily
from pulumi_nodepools.bootstrap.model import Bootstrap, EksJoin, KubeadmJoin
from pulumi_nodepools.bootstrap.render import MAX_BYTES, REVISION, render, warnings

__all__ = ["FAMILIES", "MAX_BYTES", "REVISION", "Bootstrap", "EksJoin", "KubeadmJoin", "OsFamily", "render", "warnings"]
