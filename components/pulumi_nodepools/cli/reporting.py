"""`nodepools report`: a page for people out of a report.json."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pulumi_nodepools import documents, reporting
from pulumi_nodepools import report as report_files
from pulumi_nodepools.cli.answers import say
from pulumi_nodepools.errors import ConfigError

_FILE = "A report: what `drain --output json` printed, or a file from NODEPOOLS_REPORT_DIR."
_TO = "Where to write the page; beside FILE, ending in .html, if not given."


def report(
    file: Annotated[Path | None, typer.Argument(help=_FILE)] = None,
    *,
    to: Annotated[Path | None, typer.Option(help=_TO)] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of reports instead.")] = False,
) -> int:
    """Write one HTML page from a report. It is self-contained, to be read on a screen or printed."""
    if (file is None) == (not schema):
        raise ConfigError("name a report FILE, or ask for --schema; not both")
    if file is None:
        sys.stdout.write(json.dumps(reporting.schema(), indent=2) + "\n")
        return 0
    say(f"written: {written(file, to)}")
    return 0


def written(file: Path, to: Path | None = None) -> Path:
    """Make the page of a report file; ConfigError when one cannot be read or the other not written."""
    target = to or file.with_suffix(".html")
    try:
        document = reporting.read(str(file), documents.read_bytes(file))
        return report_files.write_text(target, reporting.page(document))
    except documents.UnreadableError as error:
        raise ConfigError(f"{file} is no report: {error}") from None
    except OSError as error:
        raise ConfigError(f"{error.filename or target}: {error.strerror}; nothing was written") from None
