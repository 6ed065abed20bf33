"""Asking an API server again that did not answer, or could not just now.

For single requests outside of the loops of drains, gates and watches, which have their own ways. Only what may be done
twice may be asked so: reads, and writes that a resourceVersion or a name guards.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from pulumi_nodepools.errors import ApiError, ClusterUnreachableError, NodePoolsError

PATIENCE = 20.0
"""Seconds for which a failure that may pass is asked again: an API server's restart, and less than any deadline."""
_BACKOFF = (0.2, 3.0)

_T = TypeVar("_T")


def passes(error: NodePoolsError) -> bool:
    """Whether the same request may succeed a little later: no answer, too many requests, an error of the server."""
    if isinstance(error, ApiError):
        return error.status in {0, 429} or error.status >= 500
    return isinstance(error, ClusterUnreachableError)


def patiently(ask: Callable[[], _T]) -> _T:
    """What `ask` returns; a failure that passes is raised only when it lasts for PATIENCE, any other at once."""
    deadline = time.monotonic() + PATIENCE
    wait, most = _BACKOFF
    while True:
        try:
            return ask()
        except NodePoolsError as error:
            if not passes(error) or time.monotonic() + wait > deadline:
                raise
        pause(wait * random.uniform(0.7, 1.0))
        wait = min(2 * wait, most)


def pause(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)
