"""The shell text that every family shares. Fixed: values come in only as quoted assignments put in front of it.

POSIX sh, for cloud-init from 18.5, systemd from 219, curl from 7.29. Everything is found on PATH, every file below
$NODEPOOLS_ROOT and the metadata service at $NODEPOOLS_METADATA; on a node both are unset. What differs between
families (`@KUBELET_FILE@`, `@KERNEL_SUFFIX@`, and the functions named in families.family) is filled in by them.
"""

_NODE = r"""
root="${NODEPOOLS_ROOT:-}"
metadata="${NODEPOOLS_METADATA:-http://169.254.169.254}"
state="$root/var/lib/nodepools"

say() {
    echo "nodepools: $*" >&2
    { echo "nodepools: $*" >"$root/dev/console"; } 2>/dev/null || :
}

imds() {
    token=$(curl -sSf --retry 5 --max-time 10 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' \
        "$metadata/latest/api/token") || return 1
    curl -sSf --retry 5 --max-time 10 -H "X-aws-ec2-metadata-token: $token" "$metadata/latest/meta-data/$1"
}
"""

BOOTED_WITH = r"""
# What stands after `--` is for init, not for the kernel.
booted_with() {
    line=$(cat "$root/proc/cmdline")
    case " ${line%% -- *} " in *" $1 "*) return 0 ;; esac
    return 1
}
"""

COMMON = _NODE + BOOTED_WITH

FAIL = r"""
fail() {
    say "$*"
    { mkdir -p "$state" && echo "$*" >"$state/boothook-reason"; } 2>/dev/null
    exit 1
}
"""

FIND_MISSING = r"""
missing=''
for argument in "$@"; do
    booted_with "$argument" || missing="${missing:+$missing }$argument"
done
if [ -z "$missing" ]; then
    rm -f "$state/boothook-reason"
    exit 0
fi

# An image may have been made from a node: only this instance's own attempt counts.
instance="${INSTANCE_ID:-}"
[ -n "$instance" ] || instance=$(imds instance-id) || fail "the metadata service did not tell the instance id"
attempted="$state/attempted-$instance"
[ ! -e "$attempted" ] || fail "kernel arguments still absent after the one reboot: $missing"

say "setting kernel arguments for the next boot: $missing"
"""

REBOOT = r"""
: >"$attempted" || fail "cannot write $attempted, not rebooting: without it the node could reboot for ever"
sync
say "rebooting once"
systemctl --no-block reboot || fail "systemctl reboot failed"
# Holds cloud-init back until the machine goes down: nothing of the first boot may run on.
sleep 300
fail "the reboot did not happen within 300 s"
"""

_LAUNCH_HOOK = r"""
# A new role's rights take seconds to reach all of AWS, and calls of a whole pool at once are throttled.
retry() {
    for pause in 2 5 15; do
        "$@" && return 0
        sleep "$pause"
    done
    "$@"
}

complete_hook() {
    retry aws_call autoscaling CompleteLifecycleAction AutoScalingGroupName="$group" LifecycleHookName="$hook" \
        InstanceId="$instance" LifecycleActionResult="$1" >/dev/null && return 0
    say "CompleteLifecycleAction $1 failed for $instance in $group; the hook ends by its own timeout"
    return 1
}

# The console of an instance that is gone is hard to come by; its tags can be read for an hour.
tag_refusal() {
    aws_call ec2 CreateTags ResourceId.1="$instance" Tag.1.Key="$refused_tag" \
        Tag.1.Value="$(printf '%s' "$*" | LC_ALL=C tr -cd ' -~' | cut -c 1-255)" >/dev/null ||
        say "cannot tag $instance with the reason"
}

abandon() {
    say "ABANDON: $*"
    refuse_kubelet
    tag_refusal "$*"
    complete_hook ABANDON
    exit 1
}
"""

# What a machine must show; each calls `abandon` with the reason when it does not. host_check asks the same over SSH.
CHECKS = r"""
check_arguments() {
    for argument in "$@"; do
        booted_with "$argument" && continue
        why=$(cat "$state/boothook-reason" 2>/dev/null) || why=''
        abandon "kernel argument $argument is not in /proc/cmdline${why:+ ($why)}"
    done
}

# Version and release are compared apart, field by field as numbers: 3.10.0-957 is older than 3.10.0-1062.4.1.
at_least() {
    awk -v have="$1" -v want="$2" '
        function compare(a, b,    x, y, n, m, i) {
            n = split(a, x, "."); m = split(b, y, ".")
            for (i = 1; i <= n || i <= m; i++)
                if (x[i] + 0 != y[i] + 0) return x[i] + 0 > y[i] + 0 ? 1 : -1
            return 0
        }
        function cut(text,    dash) {
            sub(/@KERNEL_SUFFIX@.*$/, "", text)
            dash = index(text, "-")
            version = dash ? substr(text, 1, dash - 1) : text
            release = dash ? substr(text, dash + 1) : ""
            if ((version "." (release == "" ? 0 : release)) !~ /^[0-9]+([.][0-9]+)*$/) exit 2
        }
        BEGIN {
            cut(want); floor_version = version; floor_release = release
            cut(have)
            order = compare(version, floor_version)
            if (order == 0) order = compare(release, floor_release)
            exit order < 0
        }'
}

check_kernel() {
    [ -n "$minimum_kernel" ] || return 0
    kernel=$(cat "$root/proc/sys/kernel/osrelease") || abandon "cannot read the kernel's version"
    at_least "$kernel" "$minimum_kernel"
    case $? in
    0) ;;
    1) abandon "kernel $kernel is older than $minimum_kernel" ;;
    *) abandon "kernel version $kernel cannot be compared with $minimum_kernel" ;;
    esac
}
"""

VALIDATE = _LAUNCH_HOOK + CHECKS

CHECK_MESSAGES = r"""
# Only lines of the kernel itself, a time stamp at most before the signature.
check_messages() {
    messages=$(dmesg 2>/dev/null) || { say "the kernel's messages are unverifiable here: dmesg failed"; return 0; }
    bad=$(printf '%s\n' "$messages" | grep -E -m 1 \
        -e '^(\[[^]]*\])? *kmem_cache_create\([^) ]+\) failed with error -12' \
        -e '^(\[[^]]*\])? *cache: [^ (]+\(([0-9]+:[^)]*|[0-9a-f]{64})\), object size: [0-9]+, buffer size: [0-9]+')
    [ -z "$bad" ] || abandon "the kernel reports the kmem leak since this boot: $bad"
}
"""

# Words that an image made from a node may still carry are dropped, its other settings stay.
KUBELET = r"""
write_kubelet_arguments() {
    file="$root@KUBELET_FILE@"
    kept=''
    for word in $(sed -n 's/^KUBELET_EXTRA_ARGS=//p' "$file" 2>/dev/null | tr -d '"'"'"); do
        case "$word" in --node-labels=* | --register-with-taints=*) ;; *) kept="$kept$word " ;; esac
    done
    mkdir -p "${file%/*}" &&
        { { grep -v '^KUBELET_EXTRA_ARGS=' "$file" 2>/dev/null || :; } &&
            printf 'KUBELET_EXTRA_ARGS=%s%s\n' "$kept" "$kubelet_arguments"; } >"$file.new" &&
        mv -f "$file.new" "$file"
}
"""

MAIN = r"""
set -f
instance=$(imds instance-id) || { say "the metadata service did not tell the instance id"; refuse_kubelet; exit 1; }
check_arguments "$@"
check_kernel
if [ -n "$probe_kmem" ]; then
    probe_accounting
    check_messages
fi
say "validated: $evidence on $(cat "$root/proc/sys/kernel/osrelease")"
# The evidence joins the labels here and nowhere else: a node that carries it has passed the lines above.
kubelet_arguments="--node-labels=$labels,$evidence $more_arguments"
write_kubelet_arguments || abandon "cannot write @KUBELET_FILE@"
"""

JOIN_KUBEADM = r"""
secret=$(retry aws_call @READ_TOKEN@) || abandon "cannot read the join token: @TOKEN_PLACE@ $token_name"
printf '%s' "$secret" | grep -qE '^[a-z0-9]{6}\.[a-z0-9]{16}$' ||
    abandon "@TOKEN_PLACE@ $token_name does not hold a bootstrap token"
set -- --token "$secret"
for digest in $ca_hashes; do
    set -- "$@" --discovery-token-ca-cert-hash "$digest"
done
kubeadm join "$server" "$@" || abandon "kubeadm join $server failed with status $?"
"""

JOIN_EKS = r"""
"$root/etc/eks/bootstrap.sh" "$cluster" --apiserver-endpoint "$endpoint" --b64-cluster-ca "$certificate_authority" \
    --kubelet-extra-args "$kubelet_arguments" || abandon "/etc/eks/bootstrap.sh failed with status $?"
"""

# Arguments of aws_call, and what the place is called in messages.
READ_FROM_PARAMETER = ('ssm GetParameter Name="$token_name" WithDecryption=true', "SSM parameter")
READ_FROM_SECRET = ('secretsmanager GetSecretValue SecretId="$token_name"', "secret")

# Validated and told to join: waiting for Ready here would deadlock with anything that waits for InService.
FINISH = r"""
complete_hook CONTINUE && say "launch hook $hook completed"
"""
