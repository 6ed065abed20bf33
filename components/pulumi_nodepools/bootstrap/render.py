"""Puts values and shell text together into one document, byte for byte the same for the same values.

For cloud-init that is multipart MIME, and the order of the parts is that of the boot: the boothook runs early at every
boot, the user's own parts on a boot that got past it, and the join script last, once per instance.
"""

import shlex
from collections.abc import Callable, Mapping

from pulumi_nodepools.bootstrap import bottlerocket, gates, ignition, mime, scripts, user_parts
from pulumi_nodepools.bootstrap.check import check, doubts, host_and_port, turns_accounting_off
from pulumi_nodepools.bootstrap.families import FAMILIES, Family
from pulumi_nodepools.bootstrap.families.family import Dialect
from pulumi_nodepools.bootstrap.model import Bootstrap, KubeadmJoin
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.names import (
    LAUNCH_HOOK,
    POOL_LABEL,
    REFUSED_TAG,
    VALIDATED_LABEL,
    VERSION_LABEL,
    validated_value,
)

REVISION = 2
"""Raised when the text for unchanged values changes; recorded beside what was rendered, never compared."""


def render(os_family: str, b: Bootstrap) -> str:
    """User data for `os_family`; ConfigError when a value cannot stand in it."""
    family = FAMILIES.get(os_family)
    if family is None:
        raise ConfigError(f"osFamily {os_family!r} is not known; use one of {', '.join(FAMILIES)}")
    check(b, family)
    return _DOCUMENTS[family.document](b, family)


def _mime(b: Bootstrap, family: Family) -> str:
    dialect = family.cloud_init_dialect(b)
    sections = [dialect.part] if dialect else []
    if b.kernel_arguments:
        sections.insert(0, ("text/cloud-boothook", "10-nodepools-gate.sh", _boothook(b, family)))
    sections += user_parts.sections(b.user_parts)
    sections.append(("text/x-shellscript", "20-nodepools-join.sh", _join_script(b, family, dialect)))
    return mime.multipart(sections)


def _ignition(b: Bootstrap, family: Family) -> str:
    return ignition.document(_join_script(b, family, None), b.kernel_arguments, family.join_units)


_DOCUMENTS: Mapping[str, Callable[[Bootstrap, Family], str]] = {
    "mime": _mime,
    "ignition": _ignition,
    "settings": lambda b, _: bottlerocket.document(b),
}


def packed(b: Bootstrap, text: str) -> bytes:
    """What `render` gave as EC2 takes it, compressed if it must be; ConfigError when it is too large even so."""
    fitted = mime.fitted(text)
    if fitted is not None:
        return fitted
    size = len(mime.compressed(text))
    parts = sum(len(part.content) for part in b.user_parts)
    raise ConfigError(
        f"user data of pool {b.pool!r} version {b.version!r} has {len(text)} bytes and compressed {size}, "
        f"{size - mime.MAX_BYTES} more than the {mime.MAX_BYTES} that EC2 accepts: shorten userData.parts "
        f"({len(b.user_parts)} with {parts} bytes; a script can fetch the rest), labels ({len(b.labels)}), taints "
        f"({len(b.taints)}), kubelet arguments ({len(b.kubelet_arguments)}) or kernel arguments "
        f"({len(b.kernel_arguments)})"
    )


def warnings(os_family: str, b: Bootstrap) -> tuple[str, ...]:
    """What `render` takes although its writer should think again; one line each."""
    return tuple(doubts(b, FAMILIES[os_family]))


def _boothook(b: Bootstrap, family: Family) -> str:
    pieces = (scripts.FAIL, gates.gate(family.join_units), scripts.FIND_MISSING, family.edit[1:], scripts.REBOOT[1:])
    return "#cloud-boothook\n" + _head(b, {}) + scripts.COMMON + "".join(pieces)


def _join_script(b: Bootstrap, family: Family, dialect: Dialect | None) -> str:
    own = {POOL_LABEL: b.pool, VERSION_LABEL: b.version}
    values = {
        "region": b.region,
        "group": b.group,
        "hook": LAUNCH_HOOK,
        "refused_tag": REFUSED_TAG,
        "minimum_kernel": b.minimum_kernel or "",
        "probe_kmem": "yes" if turns_accounting_off(b.kernel_arguments) else "",
        "labels": ",".join(f"{key}={value}" for key, value in sorted({**b.labels, **own}.items())),
        "evidence": f"{VALIDATED_LABEL}={validated_value(b.pool, b.version)}",
        "more_arguments": " ".join([*_taint_argument(b), *b.kubelet_arguments]),
    }
    join, method = ({"cluster": b.cluster}, dialect.join) if dialect else _join(b)
    validate = (
        family.aws_call,
        gates.refusal(family.join_units),
        scripts.VALIDATE,
        family.probe,
        scripts.CHECK_MESSAGES,
    )
    text = "".join(
        (
            *validate,
            dialect.write_arguments if dialect else scripts.KUBELET,
            scripts.MAIN,
            method,
            scripts.FINISH,
        )
    )
    arguments_file = dialect.arguments_file if dialect else family.kubelet_file
    text = text.replace("@KUBELET_FILE@", arguments_file).replace("@KERNEL_SUFFIX@", family.kernel_suffix)
    return _head(b, values | join) + scripts.COMMON + text


def _join(b: Bootstrap) -> tuple[dict[str, str], str]:
    if isinstance(b.join, KubeadmJoin):
        values = {
            "server": host_and_port(b.endpoint),
            "token_name": b.join.token_parameter or b.join.token_secret,
            "ca_hashes": " ".join(b.join.ca_cert_hashes),
        }
        call, place = scripts.READ_FROM_PARAMETER if b.join.token_parameter else scripts.READ_FROM_SECRET
        return values, scripts.JOIN_KUBEADM.replace("@READ_TOKEN@", call).replace("@TOKEN_PLACE@", place)
    values = {"cluster": b.cluster, "endpoint": b.endpoint, "certificate_authority": b.certificate_authority}
    return values, scripts.JOIN_EKS


def _taint_argument(b: Bootstrap) -> list[str]:
    return [f"--register-with-taints={','.join(b.taints)}"] if b.taints else []


def _head(b: Bootstrap, values: Mapping[str, str]) -> str:
    """The only place where values enter a script: quoted assignments, and the kernel arguments as $1, $2 …"""
    lines = ["#!/bin/sh", f"# pool {b.pool}, version {b.version}; renderer {REVISION}"]
    lines += [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    if b.kernel_arguments:
        lines.append(f"set -- {shlex.join(b.kernel_arguments)}")
    return "\n".join(lines) + "\n"
