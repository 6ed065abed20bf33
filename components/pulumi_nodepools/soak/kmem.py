"""The signatures of leaking kernel memory accounting on 3.10 kernels, as published reports quote them.

A kernel signature stands at the beginning of a kernel message: the same words inside a command, a chat or a page are
none. A program's line names the memory hierarchy together with ENOMEM or ENOSPC: other hierarchies and other errors
have other causes. Quotes may be nested behind up to 15 backslashes; later runc writes none.
"""

from pulumi_nodepools.soak.model import Signature, SignatureSet

_QUOTES = r"""[\\"]*"""
_MKDIR = (
    r"""mkdir:? (?:cannot create directory )?[\\"'‘`]*"""  # noqa: RUF001 - coreutils writes these quotes
    r"""/sys/fs/cgroup/memory/[^\s"'’]*?[\\"'’]*: """  # noqa: RUF001 - the same
    r"(?:[Cc]annot allocate memory|[Nn]o space left on device)"
)
_HEX = r"[0-9a-f]{64}"
_SCOPE = rf"(?:docker-|cri-containerd-|crio-|libpod-)?{_HEX}(?:\.scope)?"
_CGROUP = rf"(?:\d+:[^)\s]*|{_SCOPE}|pod[0-9a-f_-]{{32,36}}|kubepods[\w.-]*)"
_SIZES = r"object size: \d+, buffer size: \d+, default order: \d+, min order: \d+"

KMEM = SignatureSet(
    name="kmem",
    window=60.0,
    signatures=(
        Signature(
            id="k-cache-create",
            kind="kernel",
            pattern=r"^\s*(?:__)?kmem_cache_create(?:_\w+)?\(\S+\) failed with error -12\b",
            weight="definite",
            anchor=True,
        ),
        # A cache with a control group behind its name belongs to a container: accounting is on.
        Signature(
            id="k-slub-cache",
            kind="kernel",
            pattern=rf"^\s*cache: [\w.:-]+\({_CGROUP}\), {_SIZES}",
            weight="definite",
            anchor=True,
        ),
        Signature(
            id="k-slub",
            kind="kernel",
            pattern=r"^\s*SLUB: Unable to allocate memory on node -?\d+[ ,]+\(?gfp=0x[0-9a-f]+",
            weight="strong",
            anchor=True,
            # The cache of no control group: the machine itself was short of memory.
            lowered_by=r"^\s*cache: [\w.:-]+, object size: ",
        ),
        Signature(
            id="k-netdev",
            kind="kernel",
            pattern=r"^\s*unregister_netdevice: waiting for \S+ to become free\. Usage count = \d+",
            weight="noise",
            raised="weak",
        ),
        Signature(
            id="u-kubelet",
            kind="program",
            pattern=(
                r"(?:failed to ensure that the pod: \S+ cgroups exist and are correctly applied|"
                r"unable to ensure pod container exists): "
                r"failed to create container for \[(?:\S+ )?kubepods[^\]]*\] ?: " + _MKDIR
            ),
            weight="strong",
        ),
        Signature(
            id="u-runc-apply",
            kind="program",
            pattern=rf"applying cgroup configuration for process caused:? ?{_QUOTES}{_MKDIR}",
            weight="strong",
        ),
        Signature(id="u-mkdir", kind="program", pattern=rf"""(?:^|[:=\]"] ?){_MKDIR}""", weight="strong"),
        Signature(
            id="u-runc-eof",
            kind="program",
            pattern=rf"process_linux\.go:\d+: getting the final child's pid from pipe caused:? ?{_QUOTES}EOF\b",
            weight="weak",
            raised="strong",
        ),
        Signature(
            id="u-setns",
            kind="program",
            pattern=rf"running exec setns process for init caused:? ?{_QUOTES}exit status (?:29|34|40)\b",
            weight="weak",
            raised="strong",
        ),
        Signature(
            id="u-fifo",
            kind="program",
            pattern=r"stream copy error: reading from a closed fifo",
            weight="noise",
            raised="weak",
        ),
    ),
)
