"""python -m sandbox.fleet --kubeconfig PATH --endpoint URL --state-dir DIR [--boot-seconds 0.5]

Runs until SIGTERM. The state folder holds `switches.json` (read), `instances.json` (written) and each instance's disk.
"""

import argparse
import logging
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.fleet.cloud import Cloud
from sandbox.fleet.fleet import Fleet
from sandbox.fleet.nodes import ClusterNodes


def main(argv: Sequence[str] | None = None) -> int:
    """Be the fleet until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.fleet", description="Simulated EC2 instances")
    parser.add_argument("--kubeconfig", required=True, help="cluster in which Nodes are registered")
    parser.add_argument("--endpoint", required=True, help="URL of the simulated AWS")
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--boot-seconds", type=float, default=0.5, help="how long each power-on takes")
    arguments = parser.parse_args(argv)
    if shutil.which("curl") is None:
        print("curl is needed by the user data that instances run (on Debian: apt install curl)", file=sys.stderr)
        return 1
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    arguments.state_dir.mkdir(parents=True, exist_ok=True)
    fleet = Fleet(
        Cloud(arguments.endpoint),
        ClusterNodes(arguments.kubeconfig),
        arguments.state_dir,
        boot_seconds=arguments.boot_seconds,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: fleet.stop())
    print("fleet ready", flush=True)
    fleet.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
