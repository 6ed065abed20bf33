"""SIGTERM as an ordinary interruption, so that what was started is ended on the way out.

Python dies of SIGTERM without running a single `finally`. CI systems and `timeout` send it, and a control plane of five
processes would stay behind.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED_EXIT = 128 + signal.SIGTERM


class Terminated(KeyboardInterrupt):
    """SIGTERM came. A KeyboardInterrupt, because pytest ends its session, with all fixtures, only for that."""


def catch_terminate() -> None:
    """From now on SIGTERM raises Terminated in the main thread."""
    signal.signal(signal.SIGTERM, _terminate)


@contextmanager
def undisturbed() -> Iterator[None]:
    """For the block, let neither ^C nor SIGTERM cut off the cleaning up that the first of them began."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated
