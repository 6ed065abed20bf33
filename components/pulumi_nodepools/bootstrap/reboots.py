"""Finds commands that restart the machine, in shell text. Comments and words that are printed do not count."""

import re
from collections.abc import Iterator

# Where a command may begin: a line's start, or after what ends another command, with the words that run one.
_BEGIN = r"(?:^|[;&|({`]|\bthen\b|\bdo\b|\belse\b)\s*(?:!\s*)?(?:(?:sudo|exec|nohup|command|eval)\s+(?:-\S+\s+)*)*"
_FOLDER = r"(?:/(?:usr/)?s?bin/)?"
_COMMANDS = (
    r"reboot\b(?![-.\w=])",
    r"shutdown\s+(?:\S+\s+)*?(?:-[a-zA-Z]*r|--reboot\b)",
    r"systemctl\s+(?:-\S+\s+)*(?:reboot|kexec|soft-reboot|(?:start|isolate)\s+(?:-\S+\s+)*reboot\.target)\b",
    r"(?:tel)?init\s+6\b",
)
_REBOOT = re.compile(rf"{_BEGIN}{_FOLDER}(?P<what>{'|'.join(_COMMANDS)})")
_COMMENT = re.compile(r"(?:^|\s)#.*$")


def reboots_in(text: str) -> Iterator[tuple[int, str]]:
    """(line, command) of every command that restarts the machine; lines count from 1."""
    for number, line in enumerate(text.splitlines(), start=1):
        found = _REBOOT.search(_COMMENT.sub("", line))
        if found:
            yield number, " ".join(found["what"].split()[:2])
