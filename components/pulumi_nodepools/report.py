"""Report files: where they go and how they are written. What stands in them is the drain's to say."""

import json
import os
import re
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REPORT_VARIABLE = "NODEPOOLS_REPORT_DIR"


def save_if_wanted(name: str, body: Mapping[str, Any], *, kind: str = "drain") -> Path | None:
    """Write one report into the folder that the environment names, under a name of its own; None without a folder."""
    folder = os.environ.get(REPORT_VARIABLE)
    if not folder:
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    safe = re.sub(r"[^A-Za-z0-9.-]+", "-", name)
    return write(Path(folder) / f"{kind}-{safe}-{stamp}.json", body)


def write(path: Path, body: Mapping[str, Any]) -> Path:
    """Write one JSON document, whole or not at all."""
    return write_text(path, text(body))


def write_text(path: Path, content: str) -> Path:
    """Write whole or not at all: a reader may look at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)
    Path(temporary).replace(path)
    return path


def text(body: Mapping[str, Any]) -> str:
    """One JSON document, readable and with a final newline."""
    return json.dumps(body, indent=2, sort_keys=False, default=str) + "\n"
