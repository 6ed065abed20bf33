"""What can be wrong with a cloud-config part, as far as it can be told without cloud-init.

cloud-init's own schema says more of single values, and the tests ask it; but it takes any unknown top-level key in
silence, and is not installed where stacks are deployed. Nothing here quotes a value: parts may hold secrets.
"""

import difflib
import re
from collections.abc import Iterator

import yaml

from pulumi_nodepools.bootstrap.cloud_config_keys import KEYS
from pulumi_nodepools.bootstrap.reboots import reboots_in
from pulumi_nodepools.documents import UnreadableError, yaml_values

HEADER = "#cloud-config"
MERGES = frozenset({"merge_how", "merge_type"})
"""A part with one of these says itself how it is merged with those before it."""
_RUN = ("bootcmd", "runcmd")
_REBOOTS = ("power_state", "package_reboot_if_required", "apt_reboot_if_required")


def problems(text: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong); lines count from 1."""
    if text.partition("\n")[0].rstrip() != HEADER:
        yield 1, f"must be {HEADER}, or cloud-init does not take the part for one"
        return
    try:
        yaml_values(text)
    except UnreadableError as error:
        yield error.line, error.reason
        return
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        yield 2, "is not a map of cloud-init's keys"
        return
    yield from _key_problems(root)


def _key_problems(root: yaml.MappingNode) -> Iterator[tuple[int, str]]:
    seen: set[str] = set()
    for key, _ in root.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in seen:
            yield line, f"has {name} a second time, and the first would be lost"
        seen.add(name)
        if name not in KEYS:
            near = difflib.get_close_matches(name, KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else "cloud-init would ignore it"
            yield line, f"has the unknown key {name!r}; {hint}"


def keys(text: str) -> frozenset[str]:
    """The top-level keys of a part; none when it cannot be read."""
    return frozenset(str(key.value) for key, _ in _pairs(text))


def reboots(text: str) -> Iterator[tuple[int, str]]:
    """(line, what) of everything that restarts the machine; for a part without problems."""
    for key, value in _pairs(text):
        if key.value in _REBOOTS and value.value != "false":
            yield key.start_mark.line + 1, str(key.value)
        if key.value in _RUN and isinstance(value, yaml.SequenceNode):
            for item in value.value:
                yield from _in_command(str(key.value), item)


def _in_command(key: str, item: yaml.Node) -> Iterator[tuple[int, str]]:
    """A command is a line for a shell, or a list of words."""
    line = item.start_mark.line + 1
    if isinstance(item, yaml.SequenceNode):
        words = " ".join(str(word.value) for word in item.value)
        text = words.partition(" -c ")[2] if re.match(r"(/\S*/)?(ba|da)?sh ", words) else words
    else:
        text = str(item.value)
        line += isinstance(item, yaml.ScalarNode) and item.style in ("|", ">")
    for number, what in reboots_in(text):
        yield line + number - 1, f"{what} in {key}"


def _pairs(text: str) -> list[tuple[yaml.Node, yaml.Node]]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return []
    return list(root.value) if isinstance(root, yaml.MappingNode) else []
