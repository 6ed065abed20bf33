"""`nodepools ci-check`: what a pipeline must refuse although no policy sees it. Asks neither AWS nor a cluster."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from pulumi_nodepools import ci_check as checks
from pulumi_nodepools import documents
from pulumi_nodepools.cli.answers import reported, say
from pulumi_nodepools.cli.options import Format, Output
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.update_plan import read

_PREVIEW = "What `pulumi preview --json --show-sames` wrote."
_REMOVAL = "A pool that may go, or shrink, on purpose; may be repeated."
_PROTECT = "A resource type that must be protected; may be repeated."
_FILES = "Workflow files and scripts that call Pulumi."


def ci_check(
    files: Annotated[list[Path] | None, typer.Argument(help=_FILES)] = None,
    *,
    preview: Annotated[Path | None, typer.Option(help=_PREVIEW)] = None,
    max_drain: Annotated[str, typer.Option(help="Share of all nodes that one update may drain.")] = "100%",
    allow_removal: Annotated[list[str] | None, typer.Option(help=_REMOVAL)] = None,
    protect: Annotated[list[str] | None, typer.Option(help=_PROTECT)] = None,
    output: Format = Output.text,
) -> int:
    """Refuse, with exit code 2, what no policy sees.

    That is --continue-on-error in any form, and what a plan deletes.
    """

    def act() -> dict[str, Any]:
        limits = checks.Limits(_share(max_drain), frozenset(allow_removal or ()), frozenset(protect or ()))
        violations = [
            *(found for file in files or () for found in checks.of_text(str(file), _text(file))),
            *checks.of_environment(os.environ),
            *(checks.of_plan(read(preview), limits) if preview else ()),
        ]
        for violation in violations:
            say(str(violation))
        if not violations:
            say("nothing to refuse")
        return checks.report(violations)

    return reported(output, act)


def _share(text: str) -> float:
    number = text.removesuffix("%")
    if not text.endswith("%") or not number.isdigit() or not 0 <= int(number) <= 100:
        raise ConfigError(f"--max-drain {text!r}: write a percentage from 0% to 100%")
    return int(number) / 100


def _text(file: Path) -> str:
    try:
        return documents.read_text(file)
    except (OSError, documents.UnreadableError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
