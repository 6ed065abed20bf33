"""Rules for single values that users write: names, labels, taints, AWS ids, sizes of names. Pure.

Every function takes the value, returns it when it can be used and raises ValueError with value and fix when not.
They say nothing about where the value stands: the caller adds the path. Used by the YAML models and by the
components' arguments, so both refuse the same things in the same words.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Any

from pulumi_nodepools import names
from pulumi_nodepools.bootstrap import FAMILIES, UserPart
from pulumi_nodepools.bootstrap.check import conflicts
from pulumi_nodepools.bootstrap.user_parts import problems, problems_between
from pulumi_nodepools.errors import ConfigError

_LOOKS_NUMERIC = re.compile(
    r"[-+]?(0x[0-9a-f]+|0o[0-7]+|0b[01]+|\d+(\.\d*)?(e[-+]?\d+)?|\.\d+(e[-+]?\d+)?)", re.IGNORECASE
)
_YAML_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null", "none", "nan", "inf"})
_QUALIFIED = re.compile(r"(?:(?P<prefix>[a-z0-9.-]{1,253})/)?(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

# What NodeRestriction lets a kubelet say about itself inside the kubernetes.io and k8s.io domains.
_SELF_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
    }
)
_SELF_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_LONGEST_ZONE = len("-us-west-2-lax-1a")


def require(what: str, judge: Callable[..., object], *values: Any) -> None:
    """For arguments in Python: judge values by a rule of this module; ConfigError names what they are for."""
    try:
        judge(*values)
    except ValueError as error:
        raise ConfigError(f"{what}: {error}") from None


def shown(value: object) -> str:
    """A value as it stands in YAML, short enough for an error line."""
    if isinstance(value, str):
        text = f'"{value}"'
    elif isinstance(value, bool):
        text = str(value).lower()
    elif value is None:
        text = "null"
    else:
        text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def name(kind: str, value: object) -> str:
    """A pool, version or cluster name: usable in AWS, Kubernetes and Pulumi, and not a number in anyone's eyes."""
    if value is None or isinstance(value, bool | int | float):
        raise ValueError(
            f"{shown(value)} is not text: YAML reads such a {kind} as a number or a constant (7.10 becomes 7.1); "
            'quote it, or use a letter or second dot ("v7.10", "7.10.0")'
        )
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not text; write the {kind} in quotes")  # noqa: TRY004 - one error type
    if _LOOKS_NUMERIC.fullmatch(value) or value.lower() in _YAML_WORDS:
        raise ValueError(
            f'{shown(value)} reads as a number or a constant wherever it is not quoted (7.10 becomes 7.1, and "7.1" '
            f'may have been 7.10); use a letter or second dot in the {kind} ("v7.10", "7.10.0")'
        )
    if re.match(r"\d{4}-\d{2}-\d{2} ", value):
        raise ValueError(f'{shown(value)} is a date to YAML; quote it, or use a letter in the {kind} ("r2020-08-01")')
    try:
        return names.require_name(kind, value)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def pool_name(value: object) -> str:
    """A name whose record in the cluster is the pool's alone."""
    if value == names.UNMANAGED:
        raise ValueError(
            f"{shown(value)} is what nodes without a pool are filed under: the pool would share its record and its "
            "Lease with drains by hand; give it another name"
        )
    return name("pool name", value)


def combined_names(cluster: str, pool: str, version: str, *, per_zone: bool) -> None:
    """Names that are built from several: each part may fit while the whole does not."""
    evidence = names.validated_value(pool, version)
    if len(evidence) > 63:
        raise ValueError(
            f"{shown(evidence)} (pool and version together) has {len(evidence)} characters and becomes the value of a "
            f"node label, which takes 63; shorten the pool's or the version's name"
        )
    length = len(names.group_name(cluster, pool, version)) + (_LONGEST_ZONE if per_zone else 0)
    if length > 128:
        raise ValueError(
            f"cluster, pool, version{' and zone' if per_zone else ''} together have {length} characters, more than the "
            "128 of a launch template's name; shorten one of them"
        )


def label_key(key: str) -> str:
    """A label that a kubelet may put on its own node."""
    match = _QUALIFIED.fullmatch(key)
    if match is None:
        raise ValueError(f"{shown(key)} is not a label key; write name or domain/name (letters, digits, '-', '_', '.')")
    prefix = match["prefix"] or ""
    if prefix == "nodepools.dev":
        raise ValueError(f"{shown(key)}: labels of nodepools.dev are set by this library alone; choose another prefix")
    inside = any(prefix == domain or prefix.endswith("." + domain) for domain in ("kubernetes.io", "k8s.io"))
    own = key in _SELF_LABELS or any(prefix == domain or prefix.endswith("." + domain) for domain in _SELF_DOMAINS)
    if inside and not own:
        raise ValueError(
            f"{shown(key)} may not be set by a kubelet on its own node (NodeRestriction): the node would not register; "
            'use a prefix of your own, such as "example.com/role", or label the node from the cluster'
        )
    return key


def label_value(value: str) -> str:
    """The value of a Kubernetes label."""
    if not _LABEL_VALUE.fullmatch(value):
        raise ValueError(f"{shown(value)} is not a label value: at most 63 letters, digits, '-', '_' and '.'")
    return value


def taint(text: str) -> str:
    """A taint as `key=value:Effect` or `key:Effect`."""
    body, _, effect = text.rpartition(":")
    key, _, value = body.partition("=")
    if effect not in _EFFECTS:
        raise ValueError(f"{shown(text)} is not a taint; write key=value:Effect with one of {', '.join(_EFFECTS)}")
    if not _QUALIFIED.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
        raise ValueError(f"{shown(text)}: key or value has characters that a taint cannot; write key=value:{effect}")
    if key.startswith("nodepools.dev/"):
        raise ValueError(f"{shown(text)}: taints of nodepools.dev are set by this library alone; choose another prefix")
    return text


def image(value: str) -> str:
    """An AMI by its id; anything that is looked up later would not be what was tested."""
    if re.fullmatch(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})", value):
        return value
    if value.startswith(("resolve:", "ssm:", "/", "arn:aws:ssm")):
        raise ValueError(
            f"{shown(value)} is looked up anew for every instance, so what was tested is not what ships; give the id "
            "(ami-...). `nodepools resolve-ami` will write it for you but is not there yet; "
            "until then: aws ssm get-parameter --query Parameter.Value --name ..."
        )
    raise ValueError(f"{shown(value)} is not an AMI id; give the id: ami- and 8 or 17 hexadecimal digits")


def aws_id(kind: str, value: str) -> str:
    """An id such as subnet-… or sg-…."""
    if not re.fullmatch(rf"{kind}-(?:[0-9a-f]{{8}}|[0-9a-f]{{17}})", value):
        raise ValueError(f"{shown(value)} is not a {kind} id; give {kind}- and 8 or 17 hexadecimal digits")
    return value


def instance_type(value: str) -> str:
    """The shape family.size; whether the region offers it only AWS knows."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*\.(?:[a-z0-9-]+)", value):
        raise ValueError(f"{shown(value)} is not an instance type; write family.size, such as m5.2xlarge")
    return value


def kernel_argument(value: str) -> str:
    """One word of the kernel command line."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.,:=/@+~-]{0,255}", value):
        raise ValueError(
            f"{shown(value)} is not one kernel argument; write name or name=value without spaces or quotes, "
            "and one list item for each"
        )
    if value.startswith("cgroup.memory=") and "," in value:
        apart = " and ".join(f"cgroup.memory={one}" for one in value.partition("=")[2].split(","))
        raise ValueError(f"{shown(value)} joins several; the gate looks for single words: list {apart}")
    return value


def kernel_arguments(values: Sequence[str]) -> Sequence[str]:
    """Arguments beside each other."""
    if found := list(conflicts(values)):
        raise ValueError("; ".join(found))
    return values


def kernel_version(value: str) -> str:
    """A kernel release as `uname -r` begins."""
    if not re.fullmatch(r"\d+(\.\d+)*(-\d+(\.\d+)*)?(\.(?:el|amzn)\d+[a-z0-9_.]*)?", value, re.ASCII):
        raise ValueError(f"{shown(value)} is not a kernel version; write it as uname -r does, such as 3.10.0-1062.4.1")
    return value


def kubelet_argument(value: str) -> str:
    """A kubelet flag that is not one of those this library sets itself."""
    if not re.fullmatch(r"--[a-z0-9][a-z0-9-]*(?:=[A-Za-z0-9_.,:=/@+~<>{}\[\]-]*)?", value):
        raise ValueError(f"{shown(value)} is not a kubelet flag; write --name=value without spaces or quotes")
    flag = value.partition("=")[0]
    if flag in {"--node-labels", "--register-with-taints"}:
        raise ValueError(f"{flag} is set by this library; use the labels and taints of the pool")
    return value


def policy_arn(value: str) -> str:
    """The ARN of a managed policy."""
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::(?:aws|\d{12}):policy/[\w+=,.@/-]+", value):
        raise ValueError(f"{shown(value)} is not the ARN of a managed policy (arn:aws:iam::aws:policy/...)")
    return value


def tag_key(key: str) -> str:
    """The key of an AWS tag that users may set."""
    if key.startswith(("aws:", "nodepools.dev/")) or key == "Name":
        raise ValueError(f"{shown(key)} is set by AWS or by this library; choose another key")
    if not re.fullmatch(r"[\w .:/=+@-]{1,128}", key):
        raise ValueError(f"{shown(key)} is not a tag key: 1 to 128 letters, digits, spaces and _ . : / = + - @")
    return key


def target_group(value: str) -> str:
    """The ARN of a load balancer's target group."""
    if not re.fullmatch(r"arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:targetgroup/\S+", value):
        raise ValueError(f"{shown(value)} is not the ARN of a target group")
    return value


def endpoint(value: str) -> str:
    """The API server as nodes reach it."""
    if not re.fullmatch(r"https://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?/?", value):
        raise ValueError(f"{shown(value)} is not the API server's address; write https://host or https://host:6443")
    return value


def network(value: str) -> str:
    """The addresses of a cluster's services."""
    try:
        return str(ip_network(value))
    except ValueError as error:
        raise ValueError(f"{shown(value)} is not a network such as 10.100.0.0/16: {error}") from None


def certificate_authority(value: str) -> str:
    """The cluster's CA certificate as base64 of PEM, as kubeconfig files and EKS hold it."""
    try:
        pem = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        pem = b""
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise ValueError(
            f"{shown(value)} is not a certificate; give base64 of its PEM, "
            "as in certificate-authority-data of a kubeconfig"
        )
    return value


def token_parameter(value: str) -> str:
    """The name of the SSM parameter that holds the join token; never the token."""
    _no_token(value)
    if not re.fullmatch(r"/?[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*", value):
        raise ValueError(
            f"{shown(value)} is not the name of an SSM parameter; write it like /nodepools/prod/join-token"
        )
    return value


def token_secret(value: str) -> str:
    """The name of the Secrets Manager secret that holds the join token; never the token."""
    _no_token(value)
    if not re.fullmatch(r"[A-Za-z0-9/_+=.@-]{1,512}", value):
        raise ValueError(f"{shown(value)} is not the name of a secret; write it like nodepools/prod/join-token")
    return value


def _no_token(value: str) -> None:
    if re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", value):
        raise ValueError(
            "this is a join token, and everyone who may read the stack could use it; "
            "store it as an SSM SecureString and give the parameter's name, such as /nodepools/prod/join-token"
        )


def pinned_image(value: str) -> str:
    """A container image with its digest."""
    if not re.fullmatch(r"[a-z0-9][A-Za-z0-9_./:-]*@sha256:[0-9a-f]{64}", value):
        raise ValueError(
            f"{shown(value)} is not an image with its digest, so what runs could change unseen; "
            "write it like python:3.12-slim@sha256: and 64 hexadecimal digits"
        )
    return value


def ca_cert_hash(value: str) -> str:
    """A public key pin as kubeadm takes it."""
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", value):
        raise ValueError(f"{shown(value)} is not a CA hash; write sha256: and 64 hexadecimal digits")
    return value


def user_part(part: UserPart) -> UserPart:
    """A part of the user's own, by itself."""
    if found := list(problems(part)):
        raise ValueError("; ".join(found))
    return part


def user_parts(parts: Sequence[UserPart], kernel_arguments: Sequence[str], os_family: str) -> None:
    """Parts beside each other, with their family, and beside the reboot that kernel arguments need."""
    if found := list(problems_between(parts, kernel_arguments, FAMILIES[os_family])):
        raise ValueError("; ".join(found))


def proved_by_somebody(os_family: str, startup_taint: bool) -> None:
    """A family whose nodes cannot answer a launch hook needs the startup taint, which others take away."""
    if not FAMILIES[os_family].answers_launch_hook and not startup_taint:
        raise ValueError(
            f"a node of {FAMILIES[os_family].title} has no shell to prove itself and answer a launch hook; write "
            "startupTaint: true and a startupValidator, which proves it from inside the cluster"
        )
