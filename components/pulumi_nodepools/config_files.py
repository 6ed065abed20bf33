"""Files that the stack's YAML names, read where the stack is: the only thing that configuration looks at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MOST = 1 << 20


def with_content(part: Any, folder: Path) -> Any:
    """A part of user data with the text of its `file` as its `content`; ValueError when there is not exactly one."""
    if not isinstance(part, Mapping):
        return part
    given = [key for key in ("content", "file") if part.get(key) is not None]
    if len(given) != 1:
        found = "has both content and file; keep one of them" if given else "has no text; write content or file"
        raise ValueError(found)
    if given == ["content"] or not isinstance(part["file"], str):
        return part
    return {**part, "content": _text(folder / part["file"], part["file"])}


def _text(path: Path, written: str) -> str:
    try:
        if path.stat().st_size > _MOST:
            raise ValueError(f'file "{written}" is larger than {_MOST} bytes; user data holds 16384')
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f'file "{written}" is not UTF-8 text') from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f'file "{written}" cannot be read: {reason}; looked for at {path.absolute()}') from None
