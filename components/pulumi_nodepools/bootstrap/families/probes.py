"""How a node shows that its kernel does not account kernel memory: shell text, `probe_accounting`."""

SLABINFO = r"""
# On 3.10 the slab list of a cgroup whose memory has a kmem limit can be read only while accounting is on.
# A child is used: the root cgroup, and one without a limit, refuse it in either case.
probe_accounting() {
    memory="$root/sys/fs/cgroup/memory"
    if [ ! -e "$memory/memory.limit_in_bytes" ]; then
        say "kernel memory accounting is unverifiable here: no cgroup v1 memory hierarchy"
        return 0
    fi
    child="$memory/nodepools-probe"
    mkdir -p "$child" || abandon "cannot make the memory cgroup $child"
    { echo 1073741824 >"$child/memory.kmem.limit_in_bytes"; } 2>/dev/null ||
        say "the kernel takes no kmem limit, so accounting cannot be switched on"
    found=$(LC_ALL=C cat "$child/memory.kmem.slabinfo" 2>&1)
    readable=$?
    rmdir "$child" 2>/dev/null || :
    [ $readable -ne 0 ] || abandon "kernel memory is still accounted: memory.kmem.slabinfo can be read"
    case "$found" in
    *'Input/output error'*) ;;
    *) say "kernel memory accounting is unverifiable here: $found" ;;
    esac
}
"""

SLABINFO_OF_OTHERS = r"""
# The same without making a cgroup: those of containers that run answer with an error when accounting is off.
probe_accounting() {
    memory="$root/sys/fs/cgroup/memory"
    found=$(find "$memory" -mindepth 2 -name memory.kmem.slabinfo -exec sh -c 'cat "$1" >/dev/null 2>&1' sh {} \; \
        -print -quit 2>/dev/null)
    [ -z "$found" ] || abandon "kernel memory is still accounted: $found can be read"
    LC_ALL=C find "$memory" -mindepth 2 -name memory.kmem.slabinfo -exec cat {} + 2>&1 |
        grep -q 'Input/output error' ||
        say "kernel memory accounting is unverifiable here: no cgroup below another answers for its slabs"
}
"""

USAGE = r"""
# These kernels account kernel memory from the start unless told not to, so a slice that runs the system shows it.
probe_accounting() {
    cgroups="$root/sys/fs/cgroup"
    if [ -e "$cgroups/system.slice/memory.stat" ]; then
        shown="$cgroups/system.slice/memory.stat"
        counted=$(awk '$1 == "slab" || $1 == "kernel_stack" { sum += $2 } END { print sum + 0 }' "$shown")
    elif [ -e "$cgroups/memory/system.slice/memory.kmem.usage_in_bytes" ]; then
        shown="$cgroups/memory/system.slice/memory.kmem.usage_in_bytes"
        counted=$(cat "$shown")
    else
        say "kernel memory accounting is unverifiable here: no memory numbers of system.slice"
        return 0
    fi
    [ "$counted" = 0 ] || abandon "kernel memory is still accounted: ${counted:-unreadable} bytes in $shown"
}
"""
