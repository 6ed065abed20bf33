"""`nodepools soak`: what a soak would look for, looked for by hand in any log."""

import sys
import time
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pulumi_nodepools import documents, units
from pulumi_nodepools.cli.answers import reported
from pulumi_nodepools.cli.holding import connect
from pulumi_nodepools.cli.options import Context, Format, Output
from pulumi_nodepools.cluster import logs
from pulumi_nodepools.errors import ConfigError
from pulumi_nodepools.scanning import Scan, file_text, pod_texts
from pulumi_nodepools.soak.custom import with_custom
from pulumi_nodepools.soak.model import SignatureSet

soak = typer.Typer(help="Signatures of node bugs in logs.", no_args_is_help=False)


class LogOrigin(StrEnum):
    """Where a text was written."""

    kernel = "kernel"
    node = "node"
    pod = "pod"


_FILES = "Log files; - is standard input."
_ORIGIN = "What files are: kernel (every line is the kernel's), node (the prefix tells) or pod (never the kernel's)."
_PODS = "Read the logs of this namespace's pods, too."
_SETS = "YAML file with signature sets of yours, beside the kmem set."

Files = Annotated[list[str] | None, typer.Argument(help=_FILES)]


@soak.callback()
def group() -> None:
    """Look for the signatures of node bugs."""


@soak.command()
def scan(
    files: Files = None,
    *,
    origin: Annotated[LogOrigin, typer.Option(help=_ORIGIN)] = LogOrigin.node,
    node: Annotated[str, typer.Option(help="The node that files are from.")] = "",
    pods: Annotated[str, typer.Option("--pods", metavar="NAMESPACE", help=_PODS)] = "",
    selector: Annotated[str, typer.Option("--selector", "-l", help="Only pods with these labels.")] = "",
    events: Annotated[
        bool, typer.Option("--events", help="Read Events of nodes and of --pods, or of default.")
    ] = False,
    since: Annotated[str, typer.Option(help="How far back logs of pods are read, such as 1h.")] = "",
    signatures: Annotated[Path | None, typer.Option(help=_SETS)] = None,
    output: Format = Output.text,
    context: Context = "",
) -> int:
    """Look for signatures in files, standard input, pod logs and Events. Exits 0 when clean, 2 when some are found."""

    def act() -> dict[str, Any]:
        if not files and not pods and not events:
            raise ConfigError("nothing to look at: name files (- for standard input), --pods NAMESPACE, or --events")
        if selector and not pods:
            raise ConfigError("--selector chooses among pods; name their namespace with --pods")
        back = int(units.seconds("--since", since)) if since else None
        look = Scan(_sets(signatures), time.time())
        _read_files(look, files or [], origin, node)
        client = connect(context) if pods or events else None
        if client and pods:
            for text in pod_texts(client, pods, selector, "pod", back):
                look.text(text)
        if client and events:
            look.events(logs.events(client, pods or "default"))
        body = look.report()
        if output is Output.text:
            _print(body)
        return body

    return reported(output, act)


def _sets(path: Path | None) -> tuple[SignatureSet, ...]:
    if path is None:
        return with_custom("signatures", None)
    try:
        raw = documents.read_yaml(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--signatures {path} cannot be read: {error}") from None
    return with_custom(str(path), raw)


def _read_files(look: Scan, files: list[str], origin: LogOrigin, node: str) -> None:
    with ExitStack() as stack:
        # All are opened before any is read: a wrong name must not come after an hour.
        opened = [(name, _open(stack, name)) for name in files]
        for name, file in opened:
            look.text(file_text("standard input" if name == "-" else name, file, origin.value, node))


def _open(stack: ExitStack, name: str) -> Any:
    if name == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}") from None


def _print(body: dict[str, Any]) -> None:
    for one in body["findings"]:
        near = f" (near {one['near']})" if one["near"] else ""
        mark = f"{one['weight']}: {one['set']}/{one['signature']}{near}"
        print("  ".join(part for part in (mark, one["time"], one["node"], one["source"], one["line"]) if part))
    if body["leftOut"]:
        print(f"{body['leftOut']} more of the same are counted but not shown")
    lines = sum(source["lines"] for source in body["sources"])
    found = ", ".join(f"{count} {name}" for name, count in body["counts"].items()) or "none"
    print(f"{body['outcome']}: {lines} lines of {len(body['sources'])} logs; signatures: {found}")
