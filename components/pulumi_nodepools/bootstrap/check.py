"""Refuses values that cannot stand in user data safely, or with which kubelet would not start.

Values are quoted for the shell when they are written; this is the other half: text that a quoted value later meets
unquoted (systemd's unit and environment files, GRUB's command line, kubelet's flags) has no safe quoting everywhere.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from urllib.parse import urlsplit

from pulumi_nodepools.bootstrap import bottlerocket, secrets, user_parts
from pulumi_nodepools.bootstrap.families.family import Family
from pulumi_nodepools.bootstrap.model import Bootstrap, EksJoin, KubeadmJoin
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.names import POOL_LABEL, VALIDATED_LABEL, VERSION_LABEL, require_name, validated_value

MAX_LABEL_VALUE = 63
OLDEST_WITH_NOKMEM = "3.10.0-1062.4.1"
"""The first kernel of EL7 that is known to honour `cgroup.memory=nokmem`."""

_LABEL_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = re.compile(rf"(?:(?P<prefix>[a-z0-9](?:[a-z0-9.-]{{0,251}}[a-z0-9])?)/)?{_LABEL_NAME}")
_LABEL_VALUE = re.compile(rf"(?:{_LABEL_NAME})?")
_TAINT = re.compile(r"(?P<key>[^=:]+)(?:=(?P<value>[^=:]*))?:(?:NoSchedule|PreferNoSchedule|NoExecute)")
# No quotes, blanks, `%` (a specifier in unit files), `!` or `|` (they change a systemd condition), `$` or backslash.
_KERNEL_ARGUMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,:=/@+~-]{0,255}")
_KUBELET_ARGUMENT = re.compile(r"--(?P<name>[a-z0-9][a-z0-9-]*)(?:=[A-Za-z0-9_.,:=/@+~<>{}\[\]-]*)?")
_KERNEL_VERSION = re.compile(r"\d+(\.\d+)*(-\d+(\.\d+)*)?(\.(?:el|amzn)\d+[a-z0-9_.]*)?", re.ASCII)
_PLAIN = {
    "cluster": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"),
    "region": re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}"),
    "group": re.compile(r"[A-Za-z0-9 !#%&()+,./:;=?@^_~-]{1,255}"),
    "certificateAuthority": re.compile(r"[A-Za-z0-9+/=]*"),
    "join.tokenParameter": re.compile(r"[A-Za-z0-9_./-]{1,1011}"),
    "join.tokenSecret": re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}"),
    "join.caCertHashes": re.compile(r"sha256:[0-9a-f]{64}"),
}
# Kernel arguments that add up when they are given several times.
_REPEATED = {
    "cgroup.memory",
    "cgroup_disable",
    "console",
    "earlycon",
    "hugepages",
    "hugepagesz",
    "ip",
    "module_blacklist",
}
# Those that are known to count once: two values of one can only be a mistake.
_ONCE = {
    "audit",
    "elevator",
    "enforcing",
    "init",
    "intel_iommu",
    "iommu",
    "mitigations",
    "net.ifnames",
    "nosmt",
    "numa_balancing",
    "panic",
    "root",
    "selinux",
    "systemd.unified_cgroup_hierarchy",
    "transparent_hugepage",
}
_OWN_FLAGS = {"node-labels": "labels", "register-with-taints": "taints"}
# NodeRestriction lets a kubelet set these on itself within the Kubernetes domains, and nothing else there.
_SELF_LABELS = {
    *(f"kubernetes.io/{name}" for name in ("hostname", "os", "arch")),
    *(f"beta.kubernetes.io/{name}" for name in ("os", "arch", "instance-type")),
    "node.kubernetes.io/instance-type",
    *(f"topology.kubernetes.io/{name}" for name in ("zone", "region")),
    *(f"failure-domain.beta.kubernetes.io/{name}" for name in ("zone", "region")),
}
_SELF_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")


def check(bootstrap: Bootstrap, family: Family) -> None:
    """Raise one ConfigError that lists everything wrong with `bootstrap`."""
    problems = [*_problems(bootstrap), *_family(bootstrap, family)]
    if problems:
        raise ConfigError(
            f"user data of pool {bootstrap.pool!r} version {bootstrap.version!r} cannot be made: " + "; ".join(problems)
        )


def turns_accounting_off(arguments: Sequence[str]) -> bool:
    """Whether these kernel arguments switch the accounting of kernel memory off."""
    pairs = (argument.partition("=") for argument in arguments)
    return any(key == "cgroup.memory" and "nokmem" in value.split(",") for key, _, value in pairs)


def doubts(bootstrap: Bootstrap, family: Family) -> Iterator[str]:
    """What can be rendered but is probably not what its writer wants."""
    yield from _contradictions(bootstrap.kernel_arguments)
    yield from user_parts.doubts(bootstrap.user_parts)
    off = turns_accounting_off(bootstrap.kernel_arguments)
    if off and not family.needs_nokmem:
        yield (
            f"cgroup.memory=nokmem on {family.title}: its kernels do not have the leak that this argument is for, and "
            "without accounting no limit bounds what a pod takes of kernel memory. Leave it out unless you know why"
        )
    if off and family.needs_nokmem and not bootstrap.minimum_kernel:
        yield (
            f"cgroup.memory=nokmem on {family.title} without kernel.minimumVersion: kernels before "
            f"{OLDEST_WITH_NOKMEM} are not known to honour it. Set kernel.minimumVersion to that, or newer"
        )


def conflicts(arguments: Sequence[str]) -> Iterator[str]:
    """Arguments that exclude each other."""
    for name, given in _repeated(arguments):
        if name in _ONCE:
            yield f"{' and '.join(given)}: the kernel takes the last {name} only, and the gate asks for all; keep one"


def _contradictions(arguments: Sequence[str]) -> Iterator[str]:
    for name, given in _repeated(arguments):
        if name not in _REPEATED | _ONCE and not name.startswith("rd."):
            yield f"kernel.arguments has {' and '.join(given)}: most count once, and the kernel takes the last"


def _repeated(arguments: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    values: dict[str, list[str]] = {}
    for argument in dict.fromkeys(arguments):
        values.setdefault(argument.partition("=")[0], []).append(argument)
    return ((name, given) for name, given in values.items() if len(given) > 1)


def host_and_port(endpoint: str) -> str:
    """What `kubeadm join` takes for an endpoint URL; ConfigError when it is not an https URL of a host."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port or 443
    except ValueError as error:
        raise ConfigError(f"endpoint: {endpoint!r} is not a URL: {error}") from None
    plain = re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", parts.netloc)
    if parts.scheme != "https" or not parts.hostname or not plain or parts.path not in {"", "/"}:
        raise ConfigError(f"endpoint: {endpoint!r} must look like https://host or https://host:6443")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}"


def _problems(bootstrap: Bootstrap) -> Iterator[str]:
    yield from _names(bootstrap)
    yield from _join(bootstrap)
    yield from _labels(bootstrap.labels, {POOL_LABEL: bootstrap.pool, VERSION_LABEL: bootstrap.version})
    for taint in bootstrap.taints:
        yield from _taint(taint)
    yield from _kernel(bootstrap)
    for argument in bootstrap.kubelet_arguments:
        yield from _kubelet(argument)
    yield from _secrets(bootstrap)
    for part in bootstrap.user_parts:
        yield from user_parts.problems(part)


def _names(bootstrap: Bootstrap) -> Iterator[str]:
    for kind, value in (("pool", bootstrap.pool), ("version", bootstrap.version)):
        try:
            require_name(kind, value)
        except ConfigError as error:
            yield str(error)
    evidence = validated_value(bootstrap.pool, bootstrap.version)
    if len(evidence) > MAX_LABEL_VALUE:
        yield (
            f"the evidence label's value {evidence!r} has {len(evidence)} characters, a label holds {MAX_LABEL_VALUE}: "
            "shorten the names of pool or version"
        )
    yield from _plain("cluster", bootstrap.cluster)
    yield from _plain("region", bootstrap.region)
    yield from _plain("group", bootstrap.group)
    yield from _plain("certificateAuthority", bootstrap.certificate_authority)
    try:
        host_and_port(bootstrap.endpoint)
    except ConfigError as error:
        yield str(error)


def _join(bootstrap: Bootstrap) -> Iterator[str]:
    match bootstrap.join:
        case KubeadmJoin(token_parameter, hashes, token_secret):
            if bool(token_parameter) == bool(token_secret):
                yield "join: give tokenParameter (SSM) or tokenSecret (Secrets Manager), one of the two"
            elif token_parameter:
                yield from _plain("join.tokenParameter", token_parameter)
            else:
                yield from _plain("join.tokenSecret", token_secret)
            if not hashes:
                yield "join.caCertHashes: at least one is needed, a node must not trust whoever answers"
            for digest in hashes:
                yield from _plain("join.caCertHashes", digest)
        case EksJoin() if not bootstrap.certificate_authority:
            yield "certificateAuthority: the EKS join needs it, and it is empty"


def _family(bootstrap: Bootstrap, family: Family) -> Iterator[str]:
    yield from user_parts.problems_between(bootstrap.user_parts, bootstrap.kernel_arguments, family)
    if family.document == "settings":
        yield from bottlerocket.problems(bootstrap)
    join = bootstrap.join
    kind = "eks" if isinstance(join, EksJoin) else "kubeadm"
    if kind not in family.joins:
        yield f"join: {family.title} cannot join by {kind} here; use a cluster with join {' or '.join(family.joins)}"
    if not isinstance(join, EksJoin):
        return
    if join.service_cidr:
        try:
            ip_network(join.service_cidr)
        except ValueError as error:
            yield f"join.serviceCidr: {join.service_cidr!r} is not a network such as 10.100.0.0/16: {error}"
    elif family.needs_service_cidr:
        yield f"join.serviceCidr: {family.title} joins by nodeadm, which needs it (such as 10.100.0.0/16)"


def _plain(field: str, value: str) -> Iterator[str]:
    if not _PLAIN[field].fullmatch(value):
        yield f"{field}: {value!r} does not match {_PLAIN[field].pattern}"


def _labels(labels: Mapping[str, str], own: Mapping[str, str]) -> Iterator[str]:
    for key, value in sorted(labels.items()):
        found = _LABEL_KEY.fullmatch(key)
        if not found:
            yield f"labels: {key!r} is not a label key"
        elif key == VALIDATED_LABEL or own.get(key, value) != value:
            yield f"labels: {key} is set by this library alone; remove it"
        elif not _may_label_itself(key, found["prefix"] or ""):
            yield f"labels: kubelet may not put {key} on its own node (NodeRestriction); use a domain of your own"
        if not _LABEL_VALUE.fullmatch(value):
            yield f"labels: value {value!r} of {key!r} is not a label value (at most {MAX_LABEL_VALUE} characters)"


def _may_label_itself(key: str, prefix: str) -> bool:
    def within(domain: str) -> bool:
        return prefix == domain or prefix.endswith("." + domain)

    if within("node-restriction.kubernetes.io"):
        return False
    if not within("kubernetes.io") and not within("k8s.io"):
        return True
    return key in _SELF_LABELS or any(within(domain) for domain in _SELF_DOMAINS)


def _taint(taint: str) -> Iterator[str]:
    found = _TAINT.fullmatch(taint)
    if not found or not _LABEL_KEY.fullmatch(found["key"]) or not _LABEL_VALUE.fullmatch(found["value"] or ""):
        yield f"taints: {taint!r} is not key=value:Effect or key:Effect (NoSchedule, PreferNoSchedule or NoExecute)"


def _kernel(bootstrap: Bootstrap) -> Iterator[str]:
    arguments = bootstrap.kernel_arguments
    for argument in arguments:
        if not _KERNEL_ARGUMENT.fullmatch(argument):
            yield f"kernel.arguments: {argument!r} is not one plain word; it must match {_KERNEL_ARGUMENT.pattern}"
        elif argument.startswith("cgroup.memory=") and "," in argument:
            apart = " and ".join(f"cgroup.memory={value}" for value in argument.partition("=")[2].split(","))
            yield f"kernel.arguments: {argument!r} joins several; the gate looks for single words: list {apart}"
    yield from (f"kernel.arguments: {conflict}" for conflict in conflicts(arguments))
    for argument in sorted({one for one in arguments if arguments.count(one) > 1}):
        yield f"kernel.arguments: {argument!r} is listed {arguments.count(argument)} times"
    if bootstrap.minimum_kernel is not None and not _KERNEL_VERSION.fullmatch(bootstrap.minimum_kernel):
        yield f"kernel.minimumVersion: {bootstrap.minimum_kernel!r} is not a version such as 3.10.0-1062.4.1"


def _secrets(bootstrap: Bootstrap) -> Iterator[str]:
    """Names where one stands and never quotes it."""
    values = {
        "labels": list(bootstrap.labels.values()),
        "kernel.arguments": bootstrap.kernel_arguments,
        "kubelet arguments": bootstrap.kubelet_arguments,
        "taints": bootstrap.taints,
    }
    for field, texts in values.items():
        kinds = dict.fromkeys(kind for text in texts for _, kind in secrets.find(text))
        if kinds:
            yield f"{field}: holds {' and '.join(kinds)}; {secrets.ADVICE}"


def _kubelet(argument: str) -> Iterator[str]:
    found = _KUBELET_ARGUMENT.fullmatch(argument)
    if not found:
        yield f"kubelet arguments: {argument!r} is not --name or --name=value in plain characters"
    elif found["name"] in _OWN_FLAGS:
        yield f"kubelet arguments: --{found['name']} is written by this library; use {_OWN_FLAGS[found['name']]}"
