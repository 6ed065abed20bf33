"""`python -m pulumi_nodepools.cli`, for where the command itself is not on PATH."""

import sys

from pulumi_nodepools.cli import main

if __name__ == "__main__":
    sys.exit(main())
