"""`python -m pulumi_nodepools.collector SETTINGS [ACCOUNT]`: both are paths; SIGTERM ends it after the present look."""

import signal
import sys
import threading
from pathlib import Path

from pulumi_nodepools.collector.collect import Collector, SystemClock
from pulumi_nodepools.collector.settings import Settings
from pulumi_nodepools.in_cluster.api import ACCOUNT, Api


def main(arguments: list[str]) -> int:
    """Collect until a signal comes."""
    settings = Settings.read(Path(arguments[0]))
    api = Api(Path(arguments[1]) if len(arguments) > 1 else ACCOUNT)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    Collector(api, settings, SystemClock(), _say).run(stopped)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
