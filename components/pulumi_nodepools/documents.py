"""Files that others wrote, read within limits: text, and the values of a YAML document.

What no parser survives is refused here, by a reason for people: a file without end, nesting without end, and aliases
that stand for gigabytes in a few lines. What the values mean, and whose file it is, is left to whoever asked.
"""

from pathlib import Path
from typing import Any

import yaml

MOST_YAML = 4 << 20
"""Bytes; PyYAML reads about one MiB in a second."""
MOST_JSON = 64 << 20
_MOST_NODES = 1_000_000
"""Values of one document, those behind aliases counted each time that they are named."""


class UnreadableError(ValueError):
    """Why a document is not read, as what it `is`, and the line where that shows."""

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(f"it {reason}" + (f" (line {line})" if line > 1 else ""))
        self.reason = reason
        self.line = line


def read_bytes(path: Path, most: int = MOST_JSON) -> bytes:
    """What a file holds; UnreadableError when that is more than `most` bytes, OSError when it cannot be opened."""
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise UnreadableError(f"is larger than {most >> 20} MiB")
    return data


def read_text(path: Path, most: int = MOST_YAML) -> str:
    """The same as text in UTF-8."""
    try:
        return read_bytes(path, most).decode()
    except UnicodeDecodeError as error:
        raise UnreadableError(f"is not UTF-8 text: {error.reason} at byte {error.start}") from None


def read_yaml(path: Path) -> Any:
    """The values of the one document in a YAML file, in plain types."""
    return yaml_values(read_text(path))


def yaml_values(text: str) -> Any:
    """The values of the one document in a text; UnreadableError says why it has none."""
    if len(text) > MOST_YAML:
        raise UnreadableError(f"is larger than {MOST_YAML >> 20} MiB")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        size = _size(root, {}) if root else 0
    except yaml.YAMLError as error:
        raise _wrong(error) from None
    except RecursionError:
        raise UnreadableError("is nested too deeply, or contains itself") from None
    if size > _MOST_NODES:
        raise UnreadableError(f"has aliases that make more than {_MOST_NODES} values of it")
    try:
        return yaml.SafeLoader("").construct_document(root) if root else None
    except (yaml.YAMLError, ValueError) as error:
        raise _wrong(error) from None


def _wrong(error: Exception) -> UnreadableError:
    """Without the error's own text, which shows what is there and may so show a secret."""
    mark = getattr(error, "problem_mark", None)
    syntax = isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError)
    reason = getattr(error, "problem", "") if syntax else "a tag, an alias, a value or a character is not known to it"
    return UnreadableError(f"is no YAML: {reason}", mark.line + 1 if mark else 1)


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for. One that contains itself has no end, as its nesting has none."""
    if id(node) not in known:
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        inner = (one for part in parts for one in (part if isinstance(part, tuple) else (part,)))
        known[id(node)] = 1 + sum(_size(one, known) for one in inner)
    return known[id(node)]
