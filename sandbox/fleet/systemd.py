"""When a unit may start: the conditions of its drop-ins, with systemd's own rules for the few that are used.

A drop-in counts from the last daemon-reload or power-on, not from the moment it is written.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path


class UnknownConditionError(Exception):
    """A drop-in asks for something that these instances do not imitate; it must not be taken for granted."""


@dataclass(frozen=True)
class Condition:
    name: str
    value: str
    negated: bool

    def holds(self, root: Path, cmdline: str) -> bool:
        if self.name == "ConditionKernelCommandLine":
            found = _on_command_line(self.value, cmdline)
        else:
            found = (root / self.value.lstrip("/")).exists()
        return found != self.negated

    def __str__(self) -> str:
        return f"{self.name}={'!' if self.negated else ''}{self.value}"


KNOWN = {"ConditionKernelCommandLine", "ConditionPathExists"}


def read_conditions(root: Path, unit: str) -> tuple[Condition, ...]:
    """The conditions of all drop-ins of `unit`, in file order; an empty assignment forgets those of its kind."""
    found: list[Condition] = []
    for file in sorted((root / "etc/systemd/system" / f"{unit}.d").glob("*.conf")):
        for line in _unit_section(file.read_text()):
            name, _, value = (text.strip() for text in line.partition("="))
            if not name.startswith("Condition"):
                continue
            if name not in KNOWN or value.startswith("|"):
                raise UnknownConditionError(f"{file.name} of {unit}: {line!r} is not imitated here")
            if value:
                found.append(Condition(name, value.removeprefix("!").strip(), value.startswith("!")))
            else:
                found = [one for one in found if one.name != name]
    return tuple(found)


def _unit_section(text: str) -> list[str]:
    lines: list[str] = []
    section = ""
    for line in (raw.strip() for raw in text.splitlines()):
        if line.startswith("["):
            section = line
        elif line and line[0] not in "#;" and section == "[Unit]":
            lines.append(line)
    return lines


def _on_command_line(value: str, cmdline: str) -> bool:
    """A value with `=` is matched by the very same word, one without also by a word that assigns to it."""
    words = shlex.split(cmdline)
    if "=" in value:
        return value in words
    return any(word == value or word.startswith(f"{value}=") for word in words)
