"""How a command answers: lines for people on stderr, at most one JSON document on stdout, and an exit code."""

import sys
from collections.abc import Callable
from typing import Any

import typer

from pulumi_nodepools import report as report_files
from pulumi_nodepools.cli.options import Output
from pulumi_nodepools.drain.model import Diagnosis
from pulumi_nodepools.errors import HeldError, NodePoolsError

UsageError: Any = typer.BadParameter.__bases__[0]


def say(line: str) -> None:
    """One line for people."""
    print(line, file=sys.stderr, flush=True)


def reported(output: Output, act: Callable[[], dict[str, Any]]) -> int:
    """Run, and give stdout its one document, whatever the outcome; returns the exit code."""
    try:
        body = act()
        code = 2 if body.get("outcome") in {"blocked", "found"} else 0
    except NodePoolsError as error:
        say(f"error: {error}")
        code = error.exit_code
        body = _failure(error)
    if output is Output.json:
        sys.stdout.write(report_files.text(body))
    return code


def _failure(error: NodePoolsError) -> dict[str, Any]:
    report = getattr(error, "report", None)
    body = {
        **(report.to_json() if report else {"schemaVersion": 1, "kind": "failure"}),
        "outcome": "failed",
        "error": str(error),
    }
    if error.exit_code == 2 and not body.get("diagnosis"):
        reason = "held" if isinstance(error, HeldError) else "stopped"
        known = getattr(error, "diagnosis", ()) or [Diagnosis(reason, "", "", str(error), "")]
        body["diagnosis"] = [entry.to_json() for entry in known]
    return {"diagnosis": [], **body}
