"""The command as a process: `nodepools`, or `python -m pulumi_nodepools.cli` for where it is not on PATH."""

import gc
import sys

from pulumi_nodepools.cli import main


def run() -> int:
    """Run what the command line says; the exit code."""
    code = main()
    gc.freeze()  # nothing is collected any more: looking through all that was loaded takes a tenth of a second
    return code


if __name__ == "__main__":
    sys.exit(run())
