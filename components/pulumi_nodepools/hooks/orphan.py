"""Ends the plugin process when its engine is gone: `kill -9` of pulumi would leave it on the machine for ever.

Only an idle plugin is ended. Operations, ours or of another library's providers in the same process, notice for
themselves and stop in their own way (see progress.Watch); nothing is cut off in the middle.
"""

import os
import socket
import sys
import threading
from collections.abc import Callable

from pulumi_nodepools.hooks.progress import Engine

_BEAT = 2.0
_MISSES = 3
_SERVICER = os.path.join("pulumi", "dynamic", "__main__.py")  # noqa: PTH118 - the tail of a code object's file name
_REQUESTS = frozenset({"Check", "Diff", "Create", "Read", "Update", "Delete"})
_started = threading.Lock()


def end_with_engine() -> None:
    """Begin to watch, once per process; without an engine there is nothing to watch."""
    address = Engine.of_this_process().address
    if address is not None and _started.acquire(blocking=False):
        threading.Thread(target=watch, args=(address,), name="orphan-watch", daemon=True).start()


def watch(address: str, *, beat: float = _BEAT, end: Callable[[int], None] = os._exit) -> None:
    """Return never, or after `end`: when nobody listens at the address any more and no request is being served."""
    misses, pause = 0, threading.Event()
    while misses < _MISSES or serving():
        pause.wait(beat)
        misses = misses + 1 if refused(address) else 0
    end(1)


def refused(address: str) -> bool:
    """Whether nobody listens there. A stopped (^Z) or busy engine does not answer either, but it does listen."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def serving() -> bool:
    """Whether any thread is inside a request of the SDK's servicer."""
    for innermost in sys._current_frames().values():  # noqa: SLF001 - documented; the servicer counts nothing itself
        frame = innermost
        while frame is not None:
            code = frame.f_code
            if code.co_name in _REQUESTS and code.co_filename.endswith(_SERVICER):
                return True
            frame = frame.f_back  # type: ignore[assignment]
    return False
