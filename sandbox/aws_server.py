"""The sandbox's AWS: a moto server in its own process whose Auto Scaling behaves as AWS's does.

    python -m sandbox.aws_server --port 5000 --state-dir .sandbox/aws [--account 123456789012]

Listens on 127.0.0.1 only. Prints one line when it answers. State lives in memory and ends with the process; the state
folder holds the fault switches (see `sandbox.aws.switches`). What is imitated is listed in docs/sandbox.md.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

DEFAULT_ACCOUNT = "123456789012"
TICK = 0.25
"""Seconds between two looks at time-outs and missing instances; API calls that change a group act at once."""


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.aws_server", description="Simulated AWS on 127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True, help="folder of aws-switches.json")
    parser.add_argument("--account", default=DEFAULT_ACCOUNT, help="account id that STS reports")
    return parser.parse_args(argv)


def _tick(stop: threading.Event, lock: threading.RLock) -> None:
    from sandbox.aws.groups import models

    while not stop.wait(TICK):
        with lock:
            accounts = models.autoscaling_backends.values()
            regions = [backend for account in accounts for backend in account.values()]
            for group in [group for backend in regions for group in list(backend.autoscaling_groups.values())]:
                try:
                    group.reconcile()
                except Exception:  # one broken group must not stop the others for ever
                    logging.exception("group %s cannot be reconciled", group.name)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    arguments = _arguments(argv)
    arguments.state_dir.mkdir(parents=True, exist_ok=True)
    # moto reads its settings when it is imported.
    os.environ["MOTO_ACCOUNT_ID"] = arguments.account
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    from sandbox.aws import balancers, gatekeeper, groups, identities, service, switches, world

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    faults = switches.Switches(arguments.state_dir)
    groups.Group.switches = faults
    service.install()
    data_path = balancers.install()
    world.install(faults)
    world.build(arguments.account)
    lock, stop = threading.RLock(), threading.Event()
    moto, callers = DomainDispatcherApplication(create_backend_app), identities.Identities(arguments.state_dir)
    app = gatekeeper.Gatekeeper(moto, faults, callers, lock, account=arguments.account, pages=data_path.pages)
    server = make_server("127.0.0.1", arguments.port, app, threaded=True, request_handler=MotoRequestHandler)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    threading.Thread(target=_tick, args=(stop, lock), name="auto-scaling", daemon=True).start()
    print(f"aws ready on http://127.0.0.1:{server.server_port} account {arguments.account}", flush=True)
    try:
        server.serve_forever()
    finally:
        stop.set()
        server.server_close()


if __name__ == "__main__":
    main()
