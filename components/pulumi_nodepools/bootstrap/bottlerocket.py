"""Bottlerocket's user data: settings as TOML. It restarts by itself until its kernel has the arguments.

There is no shell, so nothing here proves the node or answers a launch hook: nodes register with the startup taint, and
a StartupValidator in the cluster proves them.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pulumi_nodepools.bootstrap.model import Bootstrap
from pulumi_nodepools.names import POOL_LABEL, STARTUP_TAINT, VERSION_LABEL

_BOOT = "reboot-to-reconcile"
_KUBERNETES = re.compile(r"^[ \t]*\[settings\.kubernetes\][ \t]*$", re.MULTILINE)
_OWN = ("cluster-name", "api-server", "cluster-certificate", "node-labels", "node-taints")


def problems(b: Bootstrap) -> Iterator[str]:
    """What such a node cannot be told."""
    for argument in b.kubelet_arguments:
        yield f"kubelet arguments: Bottlerocket takes settings and no flags, so {argument!r} has no place; see userData"
    if len(b.user_parts) > 1:
        yield f"userData: {len(b.user_parts)} parts; Bottlerocket reads one document, so put the settings into one part"
    elif b.user_parts and not list(part_problems(b.user_parts[0].content)) and not _readable(document(b)):
        yield (
            f"part {b.user_parts[0].name!r}: cannot be joined with the settings of this library, since TOML takes no "
            "table twice; write settings of kubernetes below one line [settings.kubernetes]"
        )


def part_problems(text: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) with a part of settings; nothing of it is quoted but names of settings."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        yield _line_of(error), "is no TOML"
        return
    for key in sorted(set(document) - {"settings"}):
        yield _line(text, key), f"has {key!r} beside settings; write tables like [settings.ntp]"
    settings = _table(document.get("settings"))
    kubernetes = _table(settings.get("kubernetes"))
    for key in [key for key in _OWN if key in kubernetes]:
        yield _line(text, key), f"sets settings.kubernetes.{key}, which this library writes; use the pool's own keys"
    if "boot" in settings:
        yield _line(text, "boot"), "sets settings.boot, which kernel.arguments write; list the arguments there"
    if _table(settings.get("autoscaling")).get("should-wait"):
        reason = (
            "sets settings.autoscaling.should-wait: the node would join only once it is in service, and a launch hook "
            "that is completed once it has joined would wait for ever; remove it"
        )
        yield _line(text, "should-wait"), reason


def document(b: Bootstrap) -> str:
    """The settings of a node; the user's own follow ours."""
    labels = {**b.labels, POOL_LABEL: b.pool, VERSION_LABEL: b.version}
    lines = ["[settings.kubernetes.node-labels]"]
    lines += [f"{_text(key)} = {_text(value)}" for key, value in sorted(labels.items())]
    lines += ["", "[settings.kubernetes.node-taints]", *_lists(_taints(b.taints))]
    if b.kernel_arguments:
        lines += ["", "[settings.boot]", f"{_BOOT} = true", "", "[settings.boot.kernel-parameters]"]
        lines += _lists(_parameters(b.kernel_arguments))
    cluster = [f"cluster-name = {_text(b.cluster)}", f"api-server = {_text(b.endpoint)}"]
    cluster.append(f"cluster-certificate = {_text(b.certificate_authority)}")
    own = "\n\n".join(part.content.rstrip("\n") for part in b.user_parts)
    # A table stands once in TOML: where the user has begun it, ours joins it.
    if not _KUBERNETES.search(own):
        own = f"[settings.kubernetes]\n\n{own}"
    own = _KUBERNETES.sub(lambda header: "\n".join([header.group(), *cluster]), own, count=1)
    return "\n".join([*lines, "", own.rstrip("\n")]) + "\n"


def _readable(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _taints(taints: Sequence[str]) -> dict[str, list[str]]:
    """By key, as the settings have them: `value:Effect`, a taint without value `:Effect`."""
    found: dict[str, list[str]] = {}
    for taint in dict.fromkeys([*taints, f"{STARTUP_TAINT}:NoSchedule"]):
        body, _, effect = taint.rpartition(":")
        key, _, value = body.partition("=")
        found.setdefault(key, []).append(f"{value}:{effect}")
    return found


def _parameters(arguments: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for argument in arguments:
        key, has_value, value = argument.partition("=")
        found.setdefault(key, []).extend([value] if has_value else [])
    return found


def _lists(values: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{_text(key)} = [{', '.join(map(_text, found))}]" for key, found in values.items()]


def _text(value: str) -> str:
    # Every value has passed a pattern without quotes and backslashes.
    return f'"{value}"'


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _line(text: str, word: str) -> int:
    return next((number for number, line in enumerate(text.splitlines(), start=1) if word in line), 1)


def _line_of(error: tomllib.TOMLDecodeError) -> int:
    _, _, after = str(error).partition("(at line ")
    digits = after.partition(",")[0]
    return int(digits) if digits.isdigit() else 1
